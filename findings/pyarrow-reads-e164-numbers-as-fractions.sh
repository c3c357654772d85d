#!/usr/bin/env bash
# A column of phone numbers in E.164 form ("+14155550123") in a CSV file is read by pyarrow 26.0.1 as double, not as
# text and not as integer: its integers may have no plus sign, its fractions may. The plus is lost, and a join with
# numbers as text finds nobody. DuckDB 2.0.1 and Polars 2.1.0 read text.
#
# Seen: pyarrow double, DuckDB VARCHAR, Polars String.
# What to do: name the column's type (`ConvertOptions(column_types={"phone_number": pa.string()})`).
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==26.0.1 duckdb==2.0.1 polars==2.1.0
printf 'phone_number\n+14155550123\n+442079460123\n' > removed.csv
cat > seen.py <<'PYTHON'
import sys

import duckdb
import polars
import pyarrow.csv

seen = [
    str(pyarrow.csv.read_csv("removed.csv").schema.field("phone_number").type),
    str(duckdb.sql("from 'removed.csv'").types[0]),
    str(polars.read_csv("removed.csv").schema["phone_number"]),
]
print("pyarrow %s, DuckDB %s, Polars %s" % tuple(seen))
sys.exit(seen != ["double", "VARCHAR", "String"])
PYTHON
venv/bin/python seen.py
