"""Records about consent are kept, with their position and hash, for as long as their own setting says."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, select

from bus.memory import CODEC
from database.read_state import empty
from database.tables import answers, evidence
from readmodel.evidence import RAW_CHARACTERS, answers_of, is_of_the_known_alone, row_of
from readmodel.retention import purge
from readmodel.rows import Change, Erasure, IfKnown, NewRow
from readmodel.writer import write
from schemas.records import AuditEntry, ContactAnswers
from tests.read_records import LIST, attempt, command, contact, delivery, inbound, number_of, receipt, unsubscribe

NOW = 1_795_000_000_000
DAY = 86_400_000


def kept(*records: Any, at: int = NOW) -> list[Change]:
    """Return the rows that the read model writes for records at successive positions."""
    rows: list[Change] = []
    for offset, record in enumerate(records):
        row = row_of(record, CODEC.encode(record), f"topic/0/{offset}", at + offset, None, None)
        if row is not None:
            rows.append(IfKnown(evidence, row) if is_of_the_known_alone(record) else NewRow(evidence, row))
    return rows


def kinds(connection: Connection) -> list[str]:
    return list(connection.execute(select(evidence.c.kind).order_by(evidence.c.id)).scalars())


OPTED_OUT = replace(unsubscribe(1, NOW), received_at=NOW - 400, layer="keywords")
STORY = (
    inbound(1, NOW - 500, "STOP"),
    OPTED_OUT,
    contact(1, NOW, active=False, version=7),
    attempt(OPTED_OUT.event_id, NOW, event="unsubscribe"),
    command(1, NOW, "restore"),
)


def test_what_bears_on_a_consent_is_kept_once(database: Engine) -> None:
    with database.begin() as connection:
        write(connection, kept(*STORY))
        write(connection, kept(*STORY))
        assert kinds(connection) == ["reply", "unsubscribe", "state", "webhook", "order"]
        row = connection.execute(select(evidence).where(evidence.c.kind == "unsubscribe")).one()
    assert row.sha256 == hashlib.sha256(CODEC.encode(OPTED_OUT)).hexdigest()
    assert (row.number, row.effect_ms, row.place) == (number_of(1), 401, "topic/0/1")
    assert orjson.loads(row.body)["layer"] == "keywords"


def given_up(index: int) -> tuple[Any, ...]:
    """What a line of a deactivation file leads to."""
    order = replace(command(index, NOW, "remove"), list_number="", reason="deactivated", happened_at=NOW - DAY)
    return order, replace(contact(index, NOW, active=False), reason="deactivated", list_number="")


def test_numbers_of_strangers_that_were_given_up_are_not_kept(database: Engine) -> None:
    with database.begin() as connection:
        write(connection, kept(*STORY))
        write(connection, kept(*given_up(1), *given_up(2), at=NOW + DAY))
        assert kinds(connection) == [*["reply", "unsubscribe", "state", "webhook", "order"], "order", "state"]
        assert set(connection.execute(select(evidence.c.number)).scalars()) == {number_of(1), None}


def test_what_does_not_is_left_out() -> None:
    failing = replace(contact(1, NOW, active=True), failures=2)
    records = (receipt(1, NOW), delivery(1, NOW), attempt("e", NOW), failing, command(1, NOW, "erase"))
    assert kept(*records) == []


def test_a_report_that_removes_is_kept() -> None:
    [row] = kept(receipt(1, NOW, status_class="opt_out"))
    assert isinstance(row, NewRow)
    assert row.row["kind"] == "report"


def test_nothing_takes_effect_before_it_came() -> None:
    [row] = kept(replace(OPTED_OUT, received_at=NOW + 5_000))
    assert isinstance(row, NewRow)
    assert row.row["effect_ms"] == 0


def test_a_long_original_is_cut() -> None:
    [row] = kept(replace(inbound(1, NOW), raw="x" * (RAW_CHARACTERS + 1)))
    assert isinstance(row, NewRow)
    assert len(orjson.loads(row.row["body"])["raw"]) == RAW_CHARACTERS + 1


def test_an_erasure_takes_all_of_it_and_nobody_elses(database: Engine) -> None:
    other = replace(unsubscribe(2, NOW), received_at=NOW)
    with database.begin() as connection:
        write(connection, kept(*STORY, other, attempt(other.event_id, NOW, event="unsubscribe")))
        write(connection, [Erasure("acme", number_of(1))])
        assert kinds(connection) == ["unsubscribe", "webhook"]
        assert number_of(1) not in repr(connection.execute(select(evidence)).all())


def test_an_export_that_an_erasure_overtakes_leaves_nothing_of_the_number(database: Engine) -> None:
    taken = AuditEntry(
        event_id="evt_taken", actor="command:ann", action="contact.evidence", account="acme", object=number_of(1),
        details="{}", remote_ip="", request_id="", outcome="done", at=NOW,
    )  # fmt: skip
    with database.begin() as connection:
        write(connection, [*kept(*STORY), *kept(taken, at=NOW + 10)])
        assert kinds(connection)[-1] == "audit"
        write(connection, [Erasure("acme", number_of(1))])
        write(connection, kept(replace(taken, event_id="evt_later"), at=NOW + 20))
        assert kinds(connection) == []


def test_a_rebuild_leaves_it_and_reads_nothing_twice(database: Engine) -> None:
    with database.begin() as connection:
        write(connection, kept(*STORY))
        empty(connection)
        write(connection, kept(*STORY))
        assert len(kinds(connection)) == len(STORY)


def test_what_a_customer_answered_is_left_out() -> None:
    [row] = kept(attempt("e", NOW, event="removed", response_head=f"hello {number_of(1)}"))
    assert isinstance(row, NewRow)
    assert number_of(1) not in repr(row)


def test_it_outlives_the_other_rows(database: Engine) -> None:
    with database.begin() as connection:
        write(connection, kept(*STORY, at=NOW - 1_000 * DAY))
        while purge(connection, NOW, NOW, NOW - 1_830 * DAY, NOW, 100):
            pass
        assert len(kinds(connection)) == 5
        while purge(connection, NOW, NOW, NOW - 999 * DAY, NOW, 2):
            pass
        assert kinds(connection) == []


ANSWERS = ContactAnswers(
    event_id="evt_asked",
    account="acme",
    list_number=LIST,
    purpose="marketing",
    asked_by="key:shop",
    answered_at=NOW,
    body=orjson.dumps(
        {
            "list_number": LIST,
            "as_of": "2026-11-20T10:15:00.000Z",
            "contacts": [
                {"number": number_of(1), "may_be_texted": False, "reason": "message", "code": None},
                {"number": "nobody \u00e9", "may_be_texted": False, "reason": None, "code": "invalid_number"},
                {"number": number_of(2), "may_be_texted": True, "reason": None, "code": None},
            ],
        }
    ).decode(),
)


def told(record: ContactAnswers = ANSWERS, at: int = NOW + 5) -> list[Change]:
    """Return the rows that the read model writes for an answer."""
    rows = answers_of(record, CODEC.encode(record), "sms.contacts.answers/0/7", at)
    return [NewRow(answers, row) for row in rows]


def told_of(connection: Connection) -> list[str]:
    return list(connection.execute(select(answers.c.number).order_by(answers.c.id)).scalars())


def test_an_answer_is_kept_of_each_number_once_as_it_was_given(database: Engine) -> None:
    with database.begin() as connection:
        write(connection, told())
        write(connection, told())
        assert told_of(connection) == [number_of(1), number_of(2)]
        row = connection.execute(select(answers).where(answers.c.number == number_of(2))).one()
    assert row.body in ANSWERS.body
    assert (row.as_of, row.asked_by, row.at) == ("2026-11-20T10:15:00.000Z", "key:shop", NOW)
    assert row.sha256 == hashlib.sha256(CODEC.encode(ANSWERS)).hexdigest()


def test_the_answer_to_a_look_up_is_kept(database: Engine) -> None:
    one = {"number": number_of(3), "code": None, "list_number": LIST, "as_of": "2026-11-20T10:15:00.000Z"}
    with database.begin() as connection:
        write(connection, told(replace(ANSWERS, body=orjson.dumps(one).decode())))
        assert told_of(connection) == [number_of(3)]


def test_an_erasure_takes_the_answers_about_the_number_alone(database: Engine) -> None:
    with database.begin() as connection:
        write(connection, told())
        write(connection, [Erasure("acme", number_of(1)), Erasure("other", number_of(2))])
        assert told_of(connection) == [number_of(2)]


def test_answers_outlive_a_rebuild_and_go_by_their_own_setting(database: Engine) -> None:
    with database.begin() as connection:
        write(connection, told(at=NOW - 100 * DAY))
        empty(connection)
        while purge(connection, NOW, NOW, NOW, NOW - 101 * DAY, 100):
            pass
        assert len(told_of(connection)) == 2
        while purge(connection, NOW, NOW, NOW - 999 * DAY, NOW - 99 * DAY, 1):
            pass
        assert told_of(connection) == []
