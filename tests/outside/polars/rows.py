"""Print the rows of Parquet files as JSON lines, with Polars: `rows.py FILE...`."""

import json
import sys

import polars

for name in sys.argv[1:]:
    for row in polars.read_parquet(name).iter_rows(named=True):
        print(json.dumps([name, row], default=str))
