"""A read model whose position was overtaken by retention says so until it is rebuilt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from bus.memory import CATALOGUE, CODEC, MemoryKafka
from console.pages.attention import AccountHealth, attention
from database.read_state import Freshness, empty, freshness_of
from readmodel import feed
from readmodel.service import ReadModel
from readmodel.settings import ReadModelSettings
from tests.clock import START
from tests.read_records import delivery

EVENTS = CATALOGUE["delivery"].name


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> MemoryKafka:
    kafka = MemoryKafka()
    kafka.readers(monkeypatch, feed)
    kafka.store("delivery", *(delivery(number, START) for number in range(10)))
    return kafka


def until_caught_up(model: ReadModel) -> Callable[[], bool]:
    looks = iter(range(500))
    return lambda: model.freshness.caught_up_at is not None or next(looks) > 400


async def read(engine: Engine, tmp_path: Path) -> Freshness:
    """Return the database's own status after a read model has started and caught up."""
    days: dict[str, Any] = {"TRACKLY_READ_MODEL_DAYS": 100_000}
    settings = ReadModelSettings(bootstrap_servers="unused:9092", data_dir=tmp_path, **days)
    model = ReadModel(settings, engine, CODEC)
    model.freshness = Freshness(None, 0, 0)
    await model.follow(until_caught_up(model))
    with engine.connect() as connection:
        found = freshness_of(connection)
    assert found is not None
    assert model.freshness.lost == found.lost
    return found


async def test_a_position_that_is_still_there_loses_nothing(
    kafka: MemoryKafka, database: Engine, tmp_path: Path
) -> None:
    assert (await read(database, tmp_path)).lost == 0
    kafka.begins[EVENTS, 0] = 10
    assert (await read(database, tmp_path)).lost == 0


async def test_what_retention_took_is_counted_once_and_told_until_it_is_made_anew(
    kafka: MemoryKafka, database: Engine, tmp_path: Path
) -> None:
    await read(database, tmp_path)
    kafka.store("delivery", *(delivery(number, START) for number in range(10, 20)))
    kafka.begins[EVENTS, 0] = 17
    assert (await read(database, tmp_path)).lost == 7
    assert (await read(database, tmp_path)).lost == 7
    with database.begin() as connection:
        empty(connection)
    assert (await read(database, tmp_path)).lost == 0


def test_the_overview_says_so() -> None:
    [found] = attention(AccountHealth(endpoints=(), webhooks=(), dead=0, rejected=0, behind_seconds=1.0, lost=7, now=0))
    assert "lack 7 records" in found.symptom
    assert "rebuild" in found.step
