#!/usr/bin/env bash
# A map whose keys others choose, as the arguments or tags that a sender gives its messages, may have the keys
# "Campaign" and "campaign" in one record, or "utm-source" and "utm_source". dlt 1.31.0 makes a column of each key and
# writes its name in snake case, so that both get one column. The record's later key takes it, the earlier one's value
# is gone, and neither an error nor a warning says so. The fields of a record go the same way: of "messageId" and
# "message_id" one remains.
#
# Seen, loaded into DuckDB 2.0.1: {"Campaign": "may", "campaign": "june"} -> one column, june; {"Campaign": "may"} in the
# same column, may; the map as JSON, or `max_table_nesting=0`: both keys and values.
# What to do: `columns={"tags": {"data_type": "json"}}` for every map.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv python
python/bin/pip install --quiet dlt==1.31.0 duckdb==2.0.1
cat > seen.py <<'PYTHON'
import os

import dlt
import duckdb

MESSAGES = [
    {"id": "1", "tags": {"Campaign": "may", "campaign": "june"}},
    {"id": "2", "tags": {"Campaign": "may"}},
]
FIELDS = [{"messageId": "a", "message_id": "b"}]


def loaded(name, rows, **hints):
    database = os.path.abspath(f"{name}.duckdb")
    destination = dlt.destinations.duckdb(database)
    pipeline = dlt.pipeline(name, destination=destination, dataset_name="loaded", pipelines_dir=os.path.abspath("dlt"))
    pipeline.run(dlt.resource(rows, name="messages", **hints))
    with duckdb.connect(database) as connection:
        result = connection.sql("SELECT COLUMNS('^[^_]') FROM loaded.messages")
        return [dict(sorted(zip(result.columns, row))) for row in result.fetchall()]


seen = {
    "plain": loaded("plain", MESSAGES),
    "json": loaded("as_json", MESSAGES, columns={"tags": {"data_type": "json"}}),
    "nesting": loaded("nesting", MESSAGES, max_table_nesting=0),
    "fields": loaded("fields", FIELDS),
}
for name, rows in seen.items():
    print(name, rows)
whole = [{"id": "1", "tags": '{"Campaign":"may","campaign":"june"}'}, {"id": "2", "tags": '{"Campaign":"may"}'}]
expected = {
    "plain": [{"id": "1", "tags__campaign": "june"}, {"id": "2", "tags__campaign": "may"}],
    "json": whole,
    "nesting": whole,
    "fields": [{"message_id": "b"}],
}
raise SystemExit(seen != expected)
PYTHON
RUNTIME__DLTHUB_TELEMETRY=false python/bin/python seen.py
