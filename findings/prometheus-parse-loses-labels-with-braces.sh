#!/usr/bin/env bash
# The value of a label in Prometheus' text format may hold any characters (only \, " and a line feed are escaped). Routes
# of web frameworks have braces: route="/api/lists/{number}". The Rust crate prometheus-parse 0.2.5 skips such a line
# without an error, as it skips what is no sample at all; a comma cuts a value off, an equals sign loses the label. Two
# series may become one that way.
#
# Seen: /api/lists -> the route; /api/lists/{number} -> no sample; "a,b" -> "a"; "a=b" -> no label. The parser of
# prometheus_client 0.26.0 for Python reads all four as they were written.
# What to do: compare the number of samples with the number of lines, or read with another parser.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check prometheus_client==0.26.0
cat > metrics.txt <<'TEXT'
# TYPE requests_total counter
requests_total{route="/api/lists"} 1
requests_total{route="/api/lists/{number}"} 1
requests_total{route="a,b"} 1
requests_total{route="a=b"} 1
TEXT
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "seen"
version = "0.1.0"
edition = "2021"

[dependencies]
prometheus-parse = "=0.2.5"
TOML
cat > src/main.rs <<'RUST'
use prometheus_parse::Scrape;

fn main() {
    for line in include_str!("../metrics.txt").lines().filter(|line| !line.starts_with('#')) {
        let samples = Scrape::parse([Ok(line.to_owned())].into_iter()).unwrap().samples;
        match samples.first() {
            Some(sample) => println!("{}", sample.labels.get("route").unwrap_or("no label")),
            None => println!("no sample"),
        }
    }
}
RUST
rust=$(cargo run --quiet)
python=$(venv/bin/python -c '
from prometheus_client.parser import text_fd_to_metric_families
for family in text_fd_to_metric_families(open("metrics.txt")):
    for sample in family.samples:
        print(sample.labels["route"])')
printf 'prometheus-parse:\n%s\nprometheus_client:\n%s\n' "$rust" "$python"
[ "$rust" = "/api/lists
no sample
a
no label" ]
[ "$python" = "/api/lists
/api/lists/{number}
a,b
a=b" ]
