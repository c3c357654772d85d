#!/usr/bin/env bash
# schemathesis 4.32.5 makes one test of each operation of an OpenAPI document (`schema.parametrize()`). Under
# pytest 9.2.0 the ids of these tests lack the operation, so all of them have one id. pytest-xdist 3.8.0 with
# --dist=loadfile (or loadscope, loadgroup) keeps its work by id: of three operations it runs one, and the run is green.
#
# Seen: without xdist "3 passed"; with --dist=load "3 passed"; with --dist=loadfile "1 passed", exit status 0.
# What to do: give the items ids of their own in a conftest (pytest_itemcollected), or distribute with --dist=load,
# which counts by position.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    schemathesis==4.32.5 pytest==9.2.0 pytest-xdist==3.8.0 fastapi==0.165.0 httpx==0.28.1
cat > test_api.py <<'PYTHON'
import schemathesis
from fastapi import FastAPI
from hypothesis import settings

app = FastAPI()


@app.get("/one")
def one() -> int:
    return 1


@app.get("/two")
def two() -> int:
    return 2


@app.get("/three")
def three() -> int:
    return 3


schema = schemathesis.openapi.from_asgi("/openapi.json", app)


@schema.parametrize()
@settings(max_examples=1, deadline=None)
def test_api(case):
    case.call()
PYTHON
passed() { venv/bin/python -m pytest -q "$@" 2>&1 | grep -oE '[0-9]+ passed' || true; }
plain=$(passed)
by_position=$(passed -n 2 --dist=load)
by_file=$(passed -n 2 --dist=loadfile)
echo "one process: $plain; --dist=load: $by_position; --dist=loadfile: $by_file"
[ "$plain" = "3 passed" ] && [ "$by_position" = "3 passed" ] && [ "$by_file" = "1 passed" ]
