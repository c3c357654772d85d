"""`trackly dead list` and `show` say which dead letters a replay has delivered since, as the read model knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, insert

from database.tables import dead_webhooks
from schemas.records import DeadWebhook
from schemas.samples import sample
from trackly.commands.dead import AT_ONCE, Delivered


def dead(event_id: str, died_at: int = 1_000, endpoint: str = "acme/crm") -> DeadWebhook:
    found = sample("DeadWebhook")
    assert isinstance(found, DeadWebhook)
    return replace(found, endpoint=endpoint, event_id=event_id, died_at=died_at)


@pytest.fixture
def put(database: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DATABASE_URL", database_url)

    def put(place: int, event_id: str, delivered_at: int | None, endpoint: str = "crm", died_at: int = 1_000) -> None:
        row = {
            "account": "acme", "endpoint": endpoint, "event_id": event_id, "event": "delivery", "body": b"",
            "attempts": 6, "error_class": "timeout", "first_attempt_at": 1, "died_at": died_at, "origin": "",
            "place": str(place), "delivered_at": delivered_at,
        }  # fmt: skip
        with database.begin() as connection:
            connection.execute(insert(dead_webhooks), row)

    return put


def test_a_dead_letter_that_a_replay_delivered_is_told_from_one_that_is_dead(put: Any) -> None:
    put(1, "evt_1", 5_000)
    put(2, "evt_2", None)
    put(3, "evt_3", 5_000, endpoint="other")
    records = [dead(f"evt_{number}") for number in (1, 2, 3, 4)]
    found = Delivered([*records, *(dead(f"evt_x{number}") for number in range(AT_ONCE))])
    assert [found.fields(record)["delivered_at"] for record in records] == ["1970-01-01T00:00:05.000Z", *[None] * 3]
    assert [found.shown(record) for record in records] == ["1970-01-01T00:00:05.000Z", "", "", ""]


def test_of_one_given_up_again_by_a_replay_each_record_says_when_it_was_delivered_after_it(put: Any) -> None:
    put(1, "evt_1", 5_000, died_at=1_000)
    put(2, "evt_1", 5_000, died_at=2_000)
    put(3, "evt_1", None, died_at=6_000)
    records = [dead("evt_1", died_at) for died_at in (1_000, 2_000, 6_000)]
    found = Delivered(records)
    assert [bool(found.shown(record)) for record in records] == [True, True, False]


def test_without_a_database_it_is_unknown_and_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    found = Delivered([dead("evt_1")])
    assert (found.fields(dead("evt_1")), found.shown(dead("evt_1"))) == ({}, "unknown")
    found.say_if_unknown()
    assert "What replays have delivered since is unknown" in capsys.readouterr().err
