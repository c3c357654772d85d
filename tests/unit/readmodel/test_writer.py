"""How records change the tables of the read model, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count, permutations
from typing import Any

import orjson
import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, Table, event, select, update

from database import tables
from database.read_state import forget_versions
from readmodel.messages import DeliveryReport, MessageNews, merged
from readmodel.retention import purge
from readmodel.rows import HOUR, RULES, RecordPlace
from readmodel.writer import write
from schemas.ids import callback_event_id, derived_id, sent_event_id
from schemas.records import ContactState, MessageSent, Record, SentEvent
from tests import read_records as records

NOW = 1_790_000_000_000
TOPIC_OF = {kind: key for key, rule in RULES.items() for kind in rule.records}
_offsets = count()


def take(engine: Engine, *found: Record, at: int = NOW) -> None:
    """Write records in one transaction, each from its own position."""
    take_at(engine, *((record, RecordPlace(TOPIC_OF[type(record)], 0, next(_offsets), at)) for record in found))


def take_at(engine: Engine, *found: tuple[Record | None, RecordPlace]) -> None:
    changes = [change for record, place in found for change in RULES[place.topic].changes(record, place)]
    with engine.begin() as connection:
        write(connection, changes)


def rows(engine: Engine, table: Table, *names: str) -> list[Any]:
    """Return columns of all rows, in insertion order; bare values for a single column."""
    with engine.connect() as connection:
        found = connection.execute(select(*(table.c[name] for name in names)).order_by(*table.primary_key))
        return [row[0] if len(names) == 1 else tuple(row) for row in found]


def test_an_event_is_a_row_with_its_webhook_and_place(database: Engine) -> None:
    take_at(database, (records.delivery(1, NOW), RecordPlace("delivery", 3, 14, NOW)))
    assert rows(database, tables.events, "event", "message_id", "number", "place", "at") == [
        ("delivery", "m-1", records.number_of(1), "delivery/3/14", NOW)
    ]
    assert rows(database, tables.events, "body")[0].startswith('{"event":"delivery","message_id":"m-1"')


def test_events_are_counted_by_the_hour(database: Engine) -> None:
    take(database, records.delivery(1, NOW - HOUR), records.delivery(2, NOW - HOUR), records.unsubscribe(3, NOW))
    counted = rows(database, tables.hourly_events, "hour", "event", "status", "detail", "count")
    assert sorted(counted) == [
        ((NOW - HOUR) // HOUR * HOUR, "delivery", "delivered", "DELIVERED", 2),
        (NOW // HOUR * HOUR, "unsubscribe", "", "message", 1),
    ]


@pytest.mark.parametrize("together", [True, False])
def test_a_record_that_comes_twice_changes_nothing(database: Engine, together: bool) -> None:
    found: list[Record] = [
        records.delivery(1, NOW), records.receipt(1, NOW), records.inbound(1, NOW), records.unsubscribe(1, NOW),
        records.command(1, NOW, "remove"), records.rejected(1, NOW),
    ]  # fmt: skip
    for batch in [found * 2] if together else [found, found]:
        take(database, *batch)
    for table in (tables.events, tables.receipts, tables.replies, tables.contact_changes, tables.rejected):
        assert len(rows(database, table, "id")) == len({*rows(database, table, "event_id")}) > 0
    assert rows(database, tables.hourly_events, "count") == [1, 1]


def test_receivers_and_senders_are_counted_by_the_day_and_once_each(database: Engine) -> None:
    stop, report = records.inbound(1, NOW), replace(records.receipt(2, NOW), from_="+18005551234")
    again = replace(stop, event_id="again", received_at=NOW + 5, channel="rcs", to="acme_agent", list_number="1221")
    for _ in range(2):
        take(database, stop, replace(stop, event_id="later", received_at=NOW + 7), again, report, at=NOW + 10)
    names = ("provider", "kind", "channel", "receiver", "replies", "reports", "last_at")
    assert sorted(rows(database, tables.receivers, *names)) == sorted(
        [
            (stop.provider, "address", "", stop.to, 2, 1, NOW + 7),
            (stop.provider, "address", "rcs", "acme_agent", 1, 0, NOW + 5),
            (stop.provider, "list_id", "rcs", "1221", 1, 0, NOW + 5),
        ]
    )
    with database.begin() as connection:
        while purge(connection, NOW + 90_000_000, 0, 0, 0, 1_000):
            pass
    assert not rows(database, tables.receivers, "receiver")


def test_what_was_rejected_and_may_be_an_opt_out_is_marked(database: Engine) -> None:
    take(database, replace(records.rejected(1, NOW), may_opt_out=True), records.rejected(2, NOW))
    assert rows(database, tables.rejected, "may_opt_out") == [True, False]


def test_a_report_that_comes_again_at_the_end_of_a_batch_does_not_undo_a_newer_one_before_it(database: Engine) -> None:
    """As after a crash of streams, which writes again from some report on."""
    old, new = records.delivery(1, NOW - 2_000, "pending"), records.delivery(1, NOW - 1_000, "delivered")
    take(database, old, new, old)
    take(database, new)
    assert rows(database, tables.messages, "status") == ["delivered"]


def test_an_old_report_that_comes_again_does_not_undo_a_newer_one(database: Engine) -> None:
    take(database, records.delivery(1, NOW, "pending"))
    take(database, records.delivery(1, NOW, "delivered"))
    take(database, records.delivery(1, NOW, "pending"))
    assert rows(database, tables.messages, "status") == ["delivered"]


def outcomes(database: Engine) -> dict[tuple[Any, ...], int]:
    """The messages by hours before NOW, status, and detail, without those that were counted and are no longer."""
    found = rows(database, tables.hourly_messages, "hour", "status", "detail", "count")
    return {((NOW - NOW % HOUR - hour) // HOUR, *place): number for hour, *place, number in found if number}


@pytest.mark.parametrize("together", [True, False])
def test_a_message_is_counted_once_by_its_newest_status_and_when_it_came_to_it(
    database: Engine, together: bool
) -> None:
    reports = [
        records.delivery(1, NOW - 3 * HOUR, "pending"),
        records.delivery(1, NOW - 2 * HOUR, "delivered", status_detail="DELIVERED_TO_OPERATOR", final=False),
        records.delivery(1, NOW - HOUR, "delivered"),
        records.delivery(1, NOW, "delivered", status_detail="READ"),
        records.delivery(2, NOW - 2 * HOUR, "delivered"),
        records.delivery(2, NOW, "undeliverable", status_detail="REJECTED_OPERATOR"),
    ]
    reports = [replace(each, event_id=f"evt_{nth}") for nth, each in enumerate(reports)]
    found: list[Record] = [*reports, records.message(3, NOW)]
    for batch in [found] if together else [[each] for each in found]:
        take(database, *batch)
    assert outcomes(database) == {(2, "delivered", ""): 1, (0, "undeliverable", "REJECTED_OPERATOR"): 1}


def test_a_message_is_counted_for_the_list_that_its_registration_names(database: Engine) -> None:
    take(database, records.delivery(1, NOW, list_number=None))
    take(database, records.message(1, NOW))
    found = rows(database, tables.hourly_messages, "list_number", "count")
    assert sorted(found) == [("", 0), (records.LIST, 1)]


def test_a_message_of_an_older_version_is_counted_where_it_was_last_changed(database: Engine) -> None:
    take(database, records.delivery(1, NOW - 2 * HOUR, "delivered"))
    with database.begin() as connection:
        connection.execute(update(tables.messages).values(outcome_at=None))
    take(database, records.delivery(1, NOW, "expired", status_detail="EXPIRED"))
    assert outcomes(database) == {(0, "expired", "EXPIRED"): 1}


def test_a_message_is_queued_until_its_first_report(database: Engine) -> None:
    take(database, records.message(1, NOW))
    assert rows(database, tables.messages, "status", "final", "part_count", "registered_at") == [
        ("queued", False, 2, NOW)
    ]


def test_registration_and_reports_make_the_same_row_in_any_order(database: Engine) -> None:
    found = [
        records.message(0, NOW),
        records.delivery(0, NOW, "pending", message_id="SM0", list_number=None),
        SentEvent(
            event_id="sent", account="acme", message_id="SM0", provider_message_id="SM0", provider="twilio",
            to=records.number_of(0), list_number=None, part_count=2, timestamp=NOW,
        ),
    ]  # fmt: skip
    made = set()
    for order, shuffled in enumerate(permutations(found)):
        for record in shuffled:
            changed = {"provider_message_id": f"SM{order}"}
            changed |= {} if isinstance(record, MessageSent) else {"event_id": f"{type(record).__name__}{order}"}
            take(database, type(record)(**{name: getattr(record, name) for name in record.__slots__} | changed))
    names = ("message_id", "list_number", "status", "part_count", "registered_at", "number", "updated_at")
    made = set(rows(database, tables.messages, *names))
    assert made == {("m-0", records.LIST, "pending", 2, NOW, records.number_of(0), NOW)}


def test_news_that_say_nothing_take_nothing_away() -> None:
    known = merged(
        None, news(report=DeliveryReport("delivered", "D", "delivered", "1", True), part_count=3, number="+1")
    )
    assert merged(known, news()) == known | {"message_id": "m"}


def news(**changes: Any) -> MessageNews:
    given = {"number": None, "list_number": None, "part_count": None, **changes}
    return MessageNews(account="a", provider="p", provider_message_id="x", message_id="m", at=1, **given)


def test_nothing_happened_after_it_was_written(database: Engine) -> None:
    take(database, records.delivery(1, NOW + 86_400_000), at=NOW)
    assert rows(database, tables.events, "at") == rows(database, tables.messages, "updated_at") == [NOW]


def test_a_contact_has_its_newest_state(database: Engine) -> None:
    take(database, records.contact(1, NOW, active=False), records.contact(2, NOW, active=True))
    take(database, records.contact(2, NOW, active=False))
    assert rows(database, tables.contacts, "number", "active") == [
        (records.number_of(1), False), (records.number_of(2), False),
    ]  # fmt: skip


@pytest.mark.parametrize("together", [True, False])
def test_a_contact_that_comes_back_was_restored(database: Engine, together: bool) -> None:
    states = [records.contact(1, NOW - 1, active=False), records.contact(1, NOW, active=True)]
    for batch in [states] if together else [states[:1], states[1:]]:
        take(database, *batch)
    assert rows(database, tables.contact_changes, "change", "number", "at") == [("restored", records.number_of(1), NOW)]


@pytest.mark.parametrize("together", [True, False])
def test_an_older_version_of_a_state_does_not_count_though_it_was_written_later(
    database: Engine, together: bool
) -> None:
    states = [records.contact(1, NOW, active=False, version=5), records.contact(1, NOW, active=True, version=4)]
    for batch in [states] if together else [[state] for state in states]:
        take(database, *batch)
    assert rows(database, tables.contacts, "active", "version") == [(False, 5)]
    assert rows(database, tables.contact_changes, "change") == []


def test_a_state_on_a_recreated_topic_counts_whatever_its_version(database: Engine) -> None:
    take(database, records.contact(1, NOW, active=True, version=5), records.contact(2, NOW, active=False, version=5))
    with database.begin() as connection:
        forget_versions(connection)
    take(database, records.contact(1, NOW, active=False, version=1))
    found = zip(rows(database, tables.contacts, "number"), rows(database, tables.contacts, "active"), strict=True)
    assert dict(found) == {records.number_of(1): False, records.number_of(2): False}


def test_a_contact_whose_key_was_deleted_goes(database: Engine) -> None:
    take(database, records.contact(1, NOW, active=False))
    key = records.contact(1, NOW, active=False).contact.encode()
    take_at(database, (None, RecordPlace("contacts", 0, 99, NOW, key)))
    assert rows(database, tables.contacts, "id") == rows(database, tables.contact_changes, "id") == []


def test_orders_and_removals_tell_who_and_why(database: Engine) -> None:
    take(database, records.command(1, NOW, "remove"), records.unsubscribe(2, NOW))
    assert rows(database, tables.contact_changes, "change", "issued_by", "reason", "keyword") == [
        ("remove", "ann", None, None), ("removed", None, "message", "STOP"),
    ]  # fmt: skip


def test_attempts_are_counted_with_their_latency(database: Engine) -> None:
    take(database, records.attempt("e", NOW), records.attempt("e", NOW), records.attempt("e", NOW, None))
    assert rows(database, tables.attempts, "account", "endpoint", "outcome") == [
        ("acme", "crm", "2xx"), ("acme", "crm", "2xx"), ("acme", "crm", "timeout"),
    ]  # fmt: skip
    assert sorted(rows(database, tables.hourly_attempts, "outcome", "count", "latency_ms_sum")) == [
        ("2xx", 2, 20), ("timeout", 1, 10),
    ]  # fmt: skip


def test_latencies_are_counted_by_class_of_what_reached_the_receiver(database: Engine) -> None:
    attempts = [
        replace(records.attempt("e", NOW), latency_ms=latency, error_class=error, status=status)
        for latency, error, status in (
            (41, None, 200),
            (49, "http_status", 500),
            (5_000, "timeout", None),
            (1, "dns", None),
        )
    ]
    take(database, *attempts)
    assert sorted(rows(database, tables.hourly_latencies, "at_most_ms", "count")) == [(50, 2), (5_000, 1)]


@pytest.mark.parametrize("attempt_first", [True, False])
def test_a_dead_webhook_is_delivered_once_a_replay_is_answered(database: Engine, attempt_first: bool) -> None:
    found: list[Record] = [records.dead("e", NOW - 5), records.attempt("e", NOW)]
    for record in reversed(found) if attempt_first else found:
        take(database, record)
    assert rows(database, tables.dead_webhooks, "delivered_at") == [NOW]


@pytest.mark.parametrize(
    "attempt",
    [
        records.attempt("e", NOW, 500),
        records.attempt("other", NOW),
        records.attempt("e", NOW, endpoint="acme/other"),
        records.attempt("e", NOW, endpoint="globex/crm"),
        records.attempt("e", NOW - 10),
    ],
)
def test_other_attempts_leave_a_dead_webhook_dead(database: Engine, attempt: Record) -> None:
    take(database, records.dead("e", NOW - 5), attempt)
    assert rows(database, tables.dead_webhooks, "delivered_at") == [None]


def test_receipts_and_replies_know_their_raw_callback(database: Engine) -> None:
    for record in (records.receipt(1, NOW), records.inbound(1, NOW)):
        take_at(database, (record, RecordPlace(TOPIC_OF[type(record)], 0, 1, NOW, source="sms.raw/3/1234")))
    assert rows(database, tables.receipts, "source") == rows(database, tables.replies, "source") == ["sms.raw/3/1234"]


def test_texts_that_postgresql_cannot_store_are_stored_all_the_same(database: Engine) -> None:
    take(database, records.inbound(1, NOW, text="a\x00b"), records.delivery(1, NOW, provider_message_id="9" * 5_000))
    take(database, records.delivery(1, NOW, "pending", provider_message_id="9" * 5_000))
    assert rows(database, tables.replies, "text") == ["a\ufffdb"]
    assert rows(database, tables.messages, "status") == ["pending"]


def everything_about(index: int) -> Iterable[Record]:
    event = records.delivery(index, NOW)
    return (
        records.message(index, NOW), event, records.receipt(index, NOW), records.inbound(index, NOW),
        records.unsubscribe(index, NOW), records.contact(index, NOW, active=False),
        records.command(index, NOW, "remove"),
        *(
            records.attempt(callback_event_id(source, told), NOW, response_head=f"to {records.number_of(index)}")
            for source, told in (
                (sent_event_id("acme", "twilio", f"SM{index}"), "sent"),
                (records.receipt(index, NOW).event_id, "delivered"),
            )
        ),
        records.attempt(event.event_id, NOW, 500), records.dead(event.event_id, NOW, records.number_of(index)),
        records.rejected(index, NOW, item=f"to={records.number_of(index)[1:]}"),
    )  # fmt: skip


def test_a_number_that_is_erased_is_in_no_row_any_more(database: Engine) -> None:
    take(database, *everything_about(1), *everything_about(2))
    with database.begin() as connection:
        row = {"actor": "ann", "action": "contact.remove", "remote_ip": "::1", "outcome": "done", "at": NOW}
        about = {"object": records.number_of(1), "details": f'{{"number":"{records.number_of(1)}"}}'}
        connection.execute(tables.audit.insert(), {"event_id": "a", "account": "acme", **row, **about})
    take(database, records.command(1, NOW, "erase"))
    for table in tables.READ_MODEL:
        found = rows(database, table, *(column.name for column in table.columns))
        assert records.number_of(1)[1:] not in repr(found), table.name
        assert "SM1'" not in repr(found), table.name
    assert rows(database, tables.audit, "object", "details") == [("[erased]", '{"number":"[erased]"}')]
    for table in (tables.messages, tables.events, tables.receipts, tables.replies, tables.contacts, tables.rejected,
                  tables.contact_changes, tables.attempts, tables.dead_webhooks):  # fmt: skip
        assert len(rows(database, table, "id")) > 0, f"{table.name} of the other number"


def test_a_number_is_erased_for_its_account_alone(database: Engine) -> None:
    take(database, records.delivery(1, NOW, account="globex"))
    take(database, records.command(1, NOW, "erase"))
    assert rows(database, tables.events, "account") == ["globex"]


def test_old_rows_go_a_few_at_a_time_and_newer_ones_stay(database: Engine) -> None:
    old, new = NOW - 40 * 24 * HOUR, NOW
    for at, first in ((old, 0), (new, 10)):
        found = [record for index in range(first, first + 3) for record in _aged(index, at)]
        take(database, *found)
    purged = []
    with database.begin() as connection:
        while gone := purge(connection, NOW - 30 * 24 * HOUR, NOW - 400 * 24 * HOUR, 0, 0, 2):
            purged.append(gone)
    assert max(purged) == 2
    assert set(rows(database, tables.events, "at")) == set(rows(database, tables.messages, "updated_at")) == {new}
    assert set(rows(database, tables.receipts, "received_at")) == set(rows(database, tables.attempts, "at")) == {new}
    assert len(rows(database, tables.contacts, "id")) == 6
    assert len(rows(database, tables.hourly_events, "hour")) == 4


def test_what_is_exactly_as_old_as_the_limit_stays(database: Engine) -> None:
    limit = NOW - 30 * 24 * HOUR
    take(database, *(records.receipt(index, limit - 1 + index) for index in range(3)))
    with database.begin() as connection:
        while purge(connection, limit, 0, 0, 0, 10):
            pass
    assert rows(database, tables.receipts, "received_at") == [limit, limit + 1]


def test_the_audit_log_stays_as_long_as_counts_by_the_hour(database: Engine) -> None:
    row = {
        "account": "acme",
        "actor": "ann",
        "action": "a",
        "object": "",
        "details": "{}",
        "remote_ip": "",
        "outcome": "done",
    }
    with database.begin() as connection:
        for name, days in (("kept", 399), ("gone", 401)):
            connection.execute(tables.audit.insert(), {**row, "event_id": name, "at": NOW - days * 24 * HOUR})
        while purge(connection, NOW - 30 * 24 * HOUR, NOW - 400 * 24 * HOUR, 0, 0, 10):
            pass
    assert rows(database, tables.audit, "event_id") == ["kept"]


def _aged(index: int, at: int) -> list[Record]:
    state: ContactState = records.contact(index, at, active=False)
    return [
        records.delivery(index, at), records.receipt(index, at), records.unsubscribe(index, at), state,
        records.attempt(derived_id(index), at),
    ]  # fmt: skip


def test_old_counts_go_by_the_day(database: Engine) -> None:
    take(database, *(records.delivery(day, NOW - day * 24 * HOUR) for day in range(4)))
    with database.begin() as connection:
        purge(connection, 0, NOW - 2 * 24 * HOUR, 0, 0, 100)
        while purge(connection, 0, NOW - 2 * 24 * HOUR, 0, 0, 100):
            pass
    assert len(rows(database, tables.hourly_events, "hour")) == 2 + (NOW % HOUR == 0)


def tagged(index: int, tags: tuple[str, ...] = ("campaign", "flow"), **arguments: str) -> tuple[Record, RecordPlace]:
    """A registration with these arguments, read by a service with these tags."""
    sent = records.message(index, NOW, unique_args=arguments)
    return sent, RecordPlace("messages", 0, next(_offsets), NOW, tag_arguments=tags)


def tags(engine: Engine) -> list[tuple[str, str, int]]:
    return rows(engine, tables.message_tags, "name", "value", "updated_at")


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"campaign": "spring", "flow": "7", "user": "u"}, [("campaign", "spring"), ("flow", "7")]),
        ({"flow": "7"}, [("flow", "7")]),
        ({"user": "u"}, []),
        ({"campaign": ""}, []),
        ({}, []),
    ],
)
def test_a_message_has_the_tags_among_its_arguments(
    database: Engine, arguments: dict[str, str], found: list[tuple[str, str]]
) -> None:
    take_at(database, tagged(1, **arguments))
    assert rows(database, tables.message_tags, "account", "name", "value") == [("acme", *each) for each in found]
    ids = rows(database, tables.messages, "id")
    assert set(rows(database, tables.message_tags, "message")) == set(ids if found else [])
    (stored,) = rows(database, tables.messages, "tags")
    assert (None if stored is None else orjson.loads(stored)) == (dict(found) or None)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("registered_first", [True, False])
def test_tags_have_the_time_of_their_message_whichever_comes_first(
    database: Engine, together: bool, registered_first: bool
) -> None:
    report = records.delivery(1, NOW - 5), RecordPlace("delivery", 0, 1, NOW)
    found = [tagged(1, campaign="spring", flow="7"), report]
    found = found if registered_first else found[::-1]
    for batch in [found] if together else [found[:1], found[1:]]:
        take_at(database, *batch)
    assert rows(database, tables.messages, "updated_at") == [NOW - 5]
    assert tags(database) == [("campaign", "spring", NOW - 5), ("flow", "7", NOW - 5)]


def test_a_registration_that_is_read_again_with_other_tags_replaces_them(database: Engine) -> None:
    take_at(database, tagged(1, campaign="spring", flow="7"), tagged(2, campaign="spring"))
    take_at(database, tagged(1, ("flow", "user"), campaign="spring", flow="7", user="u"), tagged(2, ("flow",)))
    assert tags(database) == [("flow", "7", NOW), ("user", "u", NOW)]


def test_messages_of_one_batch_keep_their_own_tags(database: Engine) -> None:
    take_at(database, *(tagged(index, campaign=f"c{index}") for index in range(3)))
    take(database, records.delivery(1, NOW + 1), at=NOW + 1)
    assert tags(database) == [("campaign", "c0", NOW), ("campaign", "c1", NOW + 1), ("campaign", "c2", NOW)]


def test_texts_of_tags_fit(database: Engine) -> None:
    take_at(database, tagged(1, campaign="a\x00b", flow="x" * 1_000))
    assert rows(database, tables.message_tags, "value") == ["a\ufffdb", "x" * 254 + "…"]
    (stored,) = rows(database, tables.messages, "tags")
    assert orjson.loads(stored) == {"campaign": "a\ufffdb", "flow": "x" * 254 + "…"}


def test_nothing_is_asked_about_tags_for_messages_without_any(database: Engine) -> None:
    asked = []
    event.listen(database, "before_cursor_execute", lambda *call: asked.append(call[2]))
    take_at(database, tagged(1, user="u"), (records.delivery(2, NOW), RecordPlace("delivery", 0, 1, NOW)))
    take(database, records.delivery(1, NOW))
    assert asked
    assert not [statement for statement in asked if "message_tags" in statement]


def test_tags_of_an_erased_number_are_gone_and_those_of_others_stay(database: Engine) -> None:
    take_at(database, tagged(1, campaign="spring", flow="7"), tagged(2, campaign="summer"))
    take(database, records.command(1, NOW, "erase"))
    assert tags(database) == [("campaign", "summer", NOW)]


def test_tags_go_with_their_messages(database: Engine) -> None:
    take_at(database, *(tagged(index, campaign=f"c{index}") for index in range(3)))
    take(database, records.delivery(2, NOW + 10), at=NOW + 10)
    with database.begin() as connection:
        assert purge(connection, NOW + 1, 0, 0, 0, 1) == 1
    assert len(rows(database, tables.messages, "id")) == len(tags(database)) == 2
    with database.begin() as connection:
        while purge(connection, NOW + 1, 0, 0, 0, 1):
            pass
    assert tags(database) == [("campaign", "c2", NOW + 10)]
