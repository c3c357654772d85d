#!/usr/bin/env bash
# A histogram in Prometheus' text format has a series of buckets for each set of labels, such as one a stage or a route.
# The npm package parse-prometheus-text-format 1.1.1 puts all buckets of one name into one object: those of the last set
# of labels replace the others, and the labels, the sum, and the count are gone. Summaries go the same way. Its output
# is meant to fit prom2json's, which keeps each set; counters and gauges keep theirs here too, and a histogram
# without labels keeps its sum and count, as in the README's example.
#
# Seen: stages "streams" with 2 observations and "sinks" with 4: one entry, the buckets of "sinks", no labels, sum, or
# count. A series without labels: buckets, sum 0.5, count 2. prometheus_client 0.26.0 for Python reads both series.
# What to do: read histograms with labels by another parser.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . parse-prometheus-text-format@1.1.1
python3 -m venv python
python/bin/pip install --quiet prometheus_client==0.26.0
cat > labeled.txt <<'METRICS'
# HELP lag_seconds Time by which a stage was late.
# TYPE lag_seconds histogram
lag_seconds_bucket{le="0.25",stage="streams"} 1
lag_seconds_bucket{le="+Inf",stage="streams"} 2
lag_seconds_sum{stage="streams"} 0.5
lag_seconds_count{stage="streams"} 2
lag_seconds_bucket{le="0.25",stage="sinks"} 3
lag_seconds_bucket{le="+Inf",stage="sinks"} 4
lag_seconds_sum{stage="sinks"} 0.75
lag_seconds_count{stage="sinks"} 4
METRICS
sed -n '/sinks/!s/,stage="streams"\|{stage="streams"}//; /sinks/!p' labeled.txt > plain.txt
cat > seen.js <<'JAVASCRIPT'
const { readFileSync } = require("node:fs");
const parse = require("parse-prometheus-text-format");

const [labeled, plain] = ["labeled", "plain"].map((name) => {
  const [{ metrics }] = parse(readFileSync(`${name}.txt`, "utf8"));
  console.log(name, JSON.stringify(metrics));
  return JSON.stringify(metrics);
});
const asSeen =
  labeled === '[{"buckets":{"0.25":"3","+Inf":"4"}}]' &&
  plain === '[{"buckets":{"0.25":"1","+Inf":"2"},"count":"2","sum":"0.5"}]';
process.exit(asSeen ? 0 : 1);
JAVASCRIPT
cat > seen.py <<'PYTHON'
from prometheus_client.parser import text_string_to_metric_families

(family,) = text_string_to_metric_families(open("labeled.txt").read())
counts = {sample.labels["stage"]: sample.value for sample in family.samples if sample.name == "lag_seconds_count"}
print("prometheus_client: counts", counts)
raise SystemExit(counts != {"streams": 2, "sinks": 4})
PYTHON
node seen.js
python/bin/python seen.py
