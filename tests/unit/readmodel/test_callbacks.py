"""Ingest's counts of providers' callbacks in the read model: each process's newest record counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, create_engine

from console.queries.providers import seen_of
from database.engine import disposing
from database.tables import METADATA
from readmodel.rows import RULES, RecordPlace
from readmodel.writer import write
from schemas.records import CallbacksSeen
from schemas.samples import sample

NOW = 1_795_000_000_000


@pytest.fixture
def engine() -> Iterator[Engine]:
    with disposing(create_engine("sqlite://")) as engine:
        METADATA.create_all(engine)
        yield engine


def record(instance: str, taken: int, **changes: object) -> CallbacksSeen:
    seen = sample("CallbacksSeen")
    assert isinstance(seen, CallbacksSeen)
    return replace(seen, instance=instance, taken=taken, **changes)  # type: ignore[arg-type]


def put(engine: Engine, *records: CallbacksSeen) -> None:
    place = RecordPlace("sms.ingest.seen", 0, 0, NOW)
    with engine.begin() as connection:
        write(connection, [change for each in records for change in RULES["callbacks_seen"].changes(each, place)])


@pytest.mark.parametrize("at_once", [True, False])
def test_counts_of_one_process_replace_each_other_and_those_of_several_add_up(engine: Engine, at_once: bool) -> None:
    records = [record("a", 3), record("a", 5), record("b", 10, refused={"wrong_secret": 1, "rate_limited": 4})]
    for each in [records] if at_once else [[each] for each in records]:
        put(engine, *each)
    with engine.connect() as connection:
        seen = seen_of(connection, "acme", NOW)["infobip"]
    assert (seen.taken, seen.refused) == (15, 7)  # the sample of `a` has two refused
