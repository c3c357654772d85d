#!/usr/bin/env bash
# A column of a Parquet file may be a list of records, such as the links of a message. fastparquet 2026.9.0 for Python,
# which pandas and Dask take with `engine="fastparquet"`, has None in every row of such a column, whatever is in the file,
# without an error or a warning; lists of text, maps, and records are read. A time in UTC loses its zone.
#
# Seen, and what pandas 2.3.3 reads with pyarrow 26.0.1: links [{"url": "https://shop.example"}]: None / as it is;
# words ["stop"]: both as it is; a timestamp[ms] in UTC: datetime64[ms] / datetime64[ms, UTC].
# What to do: `engine="pyarrow"`, or a reader that is not pandas.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check fastparquet==2026.9.0 pandas==2.3.3 pyarrow==26.0.1
cat > seen.py <<'PYTHON'
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

at = pa.array([datetime(2026, 11, 20, 10, 15, 32, tzinfo=UTC)], pa.timestamp("ms", "UTC"))
columns = {"links": [[{"url": "https://shop.example"}]], "words": [["stop"]], "at": at}
pq.write_table(pa.table(columns), "messages.parquet")
for engine in ("fastparquet", "pyarrow"):
    read = pd.read_parquet("messages.parquet", engine=engine)
    links, words = read["links"][0], read["words"][0]
    print(engine, None if links is None else list(links), list(words), read["at"].dtype)
PYTHON
seen=$(venv/bin/python -W error::UserWarning seen.py)
echo "$seen"
[ "$seen" = "fastparquet None ['stop'] datetime64[ms]
pyarrow [{'url': 'https://shop.example'}] ['stop'] datetime64[ms, UTC]" ]
