"""The recipe for ClickHouse runs in ClickHouse, without a server, on values as written by our services."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from registry.app import create_app
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.records import DeliveryEvent
from schemas.samples import example, sample
from schemas.topics import Catalogue
from tests.http_servers import served
from tests.outside.readers.clients import READERS, RECIPES, NotInstalled, installed

PROGRAM = Path(__file__).parent / "clickhouse" / "run_recipe.py"
RECIPE = RECIPES / "clickhouse" / "delivery.sql"


def events() -> list[DeliveryEvent]:
    """A record that comes twice, one with another outcome, and one without optional values."""
    first = sample("DeliveryEvent")
    assert isinstance(first, DeliveryEvent)
    expired = replace(first, event_id="evt_x", status="expired", status_detail="EXPIRED")
    bare = replace(expired, event_id="evt_y", to=None, list_number=None, provider_code=None)
    return [first, first, expired, bare]


def test_clickhouse_counts_each_event_once(tmp_path: Path) -> None:
    chdb = next(reader for reader in READERS if reader.name == "chdb")
    try:
        place = installed(chdb, may_be_heavy="TRACKLY_READERS" in os.environ)
    except NotInstalled as error:
        pytest.skip(f"{RECIPE.name} was NOT run in ClickHouse: {error}")
    codec, values = Codec(FolderRegistry()), tmp_path / "values"
    values.write_bytes(b"".join(map(codec.encode, events())))
    with served(create_app(Catalogue())) as url:
        command = [str(place / ".venv/bin/python"), str(PROGRAM), str(RECIPE), str(values), url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    *days, kept = [json.loads(line) for line in done.stdout.splitlines() if line]
    assert days == [["2026-11-20", "EXPIRED", 2], ["2026-11-20", "DELIVERED_TO_HANDSET", 1]]
    assert kept == {**example("DeliveryEvent"), "timestamp": "2026-11-20 10:15:32.120"}
