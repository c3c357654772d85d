"""Records come in any order and more than once: what is the same in the end, and what never happens."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from random import Random

from contact_records import LIST, REPORTS, command, inbound, receipt
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import (
    ContactCommand,
    ContactState,
    DeliveryEvent,
    InboundMessage,
    Receipt,
    UnsubscribeEvent,
)
from streams.optout import default_words
from streams.row import ContactRow, from_bytes, to_bytes
from streams.rules import (
    MAX_INBOUND,
    MIN_RECENT,
    REMOVALS,
    Event,
    Outcome,
    apply_command,
    apply_inbound,
    apply_receipt,
    rank,
)

WORDS = default_words()
THRESHOLD = 3
Change = Receipt | InboundMessage | ContactCommand


def apply(row: ContactRow | None, record: Change) -> Outcome:
    if isinstance(record, Receipt):
        return apply_receipt(row, record, None, LIST, THRESHOLD)
    if isinstance(record, InboundMessage):
        return apply_inbound(row, record, LIST, WORDS)
    return apply_command(row, record)


def run(records: Iterable[Change]) -> tuple[ContactRow, list[Event | ContactState]]:
    """The row and all the events of some records, the row read from its bytes at each step."""
    row: ContactRow | None = None
    events: list[Event | ContactState] = []
    for record in records:
        outcome = apply(row, record)
        row = from_bytes(to_bytes(outcome.row))
        events += outcome.events
    assert row is not None
    return row, events


@st.composite
def receipts(draw: st.DrawFn) -> list[Receipt]:
    """Receipts of a few messages, each with a time of its own."""
    said = draw(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(REPORTS)), min_size=1, max_size=12))
    times = draw(st.permutations(range(1, len(said) + 1)))
    return [receipt(message, report, at) for (message, report), at in zip(said, times, strict=True)]


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[Receipt], list[Receipt]]:
    """Receipts, and the same ones as they arrive: in another order, some of them again."""
    sent = draw(receipts())
    again = draw(st.lists(st.sampled_from(sent), max_size=5))
    return sent, draw(st.permutations([*sent, *again]))


@st.composite
def changes(draw: st.DrawFn) -> list[Change]:
    """Receipts, replies and orders about one contact, each with a time of its own, in any order."""
    records: list[Change] = list(draw(receipts()))
    texts = draw(st.lists(st.sampled_from(["STOP", "START", "hello"]), max_size=5))
    orders = draw(st.lists(st.sampled_from(["remove", "restore"]), max_size=3))
    times = iter(draw(st.permutations(range(len(texts) + len(orders)))))
    records += [inbound(text, at, id=f"SM{at}") for text, at in zip(texts, times, strict=False)]
    records += [command(order, at) for order, at in zip(orders, times, strict=False)]
    return draw(st.permutations(records))


def last_word(sent: Iterable[Receipt]) -> dict[str, Receipt]:
    """Of each message the report of the highest rank, among equals the newest."""
    by_message: dict[str, Receipt] = {}
    for report in sorted(sent, key=lambda r: (rank(r.status, r.status_detail, r.final), r.occurred_at or 0)):
        by_message[report.provider_message_id] = report
    return by_message


@given(arrivals())
def test_the_states_of_messages_do_not_depend_on_the_order_of_arrival(
    case: tuple[list[Receipt], list[Receipt]],
) -> None:
    sent, arrived = case
    row, events = run(arrived)
    expected = sorted(last_word(sent).values(), key=lambda r: r.occurred_at or 0)
    assert [(s.key, s.detail, s.at) for s in row.recent] == [
        (f"infobip:{r.provider_message_id}", r.status_detail, r.occurred_at) for r in expected
    ]
    assert row.failures == run(sent)[0].failures
    told = {e.message_id: e.status_detail for e in events if isinstance(e, DeliveryEvent)}
    assert told == {r.provider_message_id: r.status_detail for r in expected}


@given(arrivals())
def test_a_removal_that_stands_in_the_end_happens_in_every_order(
    case: tuple[list[Receipt], list[Receipt]],
) -> None:
    """Whether a report that is later corrected removes the contact does depend on the order: it may come too
    late to be read. But never is a contact active against what the final states say."""
    sent, arrived = case
    row, events = run(arrived)
    removing = any(report.status_class in REMOVALS for report in last_word(sent).values())
    if removing or row.failures >= THRESHOLD:
        assert not row.active
    if not any(report.status_class in REMOVALS for report in sent):
        failing = {report.provider_message_id for report in sent if report.status_class == "transient"}
        assert row.active or len(failing) >= THRESHOLD
    assert [isinstance(e, UnsubscribeEvent) for e in events].count(True) == (not row.active)


@given(arrivals(), st.data())
def test_what_was_applied_changes_nothing_when_it_is_read_again(
    case: tuple[list[Receipt], list[Receipt]], data: st.DataObject
) -> None:
    _, arrived = case
    row, _ = run(arrived)
    for record in arrived[: data.draw(st.integers(0, len(arrived)))]:
        again = apply(row, record)
        assert again.row is row
        assert again.events == ()


@given(changes())
def test_the_published_state_is_the_state_of_the_row(records: list[Change]) -> None:
    row, events = run(records)
    published = [event for event in events if isinstance(event, ContactState)]
    shown = (published[-1].active, published[-1].failures, published[-1].reason) if published else (True, 0, None)
    assert shown == (row.active, row.failures, row.reason)
    assert all(before != after for before, after in pairwise(published))
    assert row.active == (row.reason is None)


@given(changes())
def test_a_contact_whose_last_word_was_stop_is_out_in_every_order(records: list[Change]) -> None:
    words = [(r.occurred_at or 0, r.text) for r in records if isinstance(r, InboundMessage) and r.text != "hello"]
    orders = [(r.issued_at, r.command) for r in records if isinstance(r, ContactCommand)]
    _, last = max([*words, *orders], default=(0, "nothing"))
    if last in ("STOP", "remove"):
        assert not run(records)[0].active


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_a_row_stays_bounded_and_sorted(random: Random) -> None:
    row = None
    for n in range(100):
        message, report, at = f"m{random.randrange(80)}", random.choice(REPORTS), random.randrange(1, 500)
        row = apply(row, receipt(message, report, at)).row
        row = apply(row, inbound("hello", n, id=f"SM{n}")).row
        assert len(row.recent) <= MIN_RECENT
        assert len(row.inbound) <= MAX_INBOUND
        assert list(row.recent) == sorted(row.recent, key=lambda state: (state.at, state.key))
        assert len({state.key for state in row.recent}) == len(row.recent)
