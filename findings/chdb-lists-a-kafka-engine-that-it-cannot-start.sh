#!/usr/bin/env bash
# chdb 4.4.0 (ClickHouse 26.9.2.1 in a Python process) lists Kafka among its table engines, as the server does. A table
# with it cannot be made: CREATE TABLE ends with "Shutdown was called. (LOGICAL_ERROR)", whichever broker is named, and
# also where none is. The message names neither Kafka nor what is missing.
#
# Seen: `Kafka` in system.table_engines; Code: 49 at CREATE TABLE.
# What to do: read the topic with a Kafka client and give chdb the values; its AvroConfluent format asks the registry as
# the server's does. SQL for a server runs in chdb with ENGINE = Null in the queue's place, which feeds the same views.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check chdb==4.4.0
cat > seen.py <<'PYTHON'
import sys

from chdb.session import Session

queue = """
CREATE TABLE queue (line String) ENGINE = Kafka
SETTINGS kafka_broker_list = '127.0.0.1:9', kafka_topic_list = 't', kafka_group_name = 'g', kafka_format = 'LineAsString'
"""
house = Session("house")
engines = str(house.query("SELECT name FROM system.table_engines WHERE name = 'Kafka'", "TSVRaw")).split()
try:
    house.query(queue)
    said = "made"
except Exception as error:
    said = str(error)
print("engines:", *engines)
print("CREATE TABLE:", said)
sys.exit(not (engines == ["Kafka"] and "Shutdown was called" in said))
PYTHON
venv/bin/python seen.py
