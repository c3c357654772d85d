"""Records arrive in any order and more than once: what is the same in the end, and what never happens."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas.records import (
    ContactCommand,
    ContactState,
    DeliveryEvent,
    InboundMessage,
    Receipt,
    RemovedEvent,
    UnsubscribeEvent,
)
from streams.optout import default_words
from streams.row import ContactRow, from_bytes, to_bytes
from streams.rules import (
    MAX_INBOUND,
    MIN_COUNTED,
    REMOVALS,
    Event,
    rank,
)
from streams.rules.states import report_of
from tests.unit.streams.contact_records import LIST, REPORTS, command, inbound, receipt
from tests.unit.streams.contact_reports import Known, order, report
from tests.unit.streams.contact_rules import apply_inbound

WORDS = default_words()
THRESHOLD = 3
Change = Receipt | InboundMessage | ContactCommand


def apply(known: Known, record: Change) -> Known:
    """Return the state after a record."""
    if isinstance(record, Receipt):
        return report(known, record, None, LIST, THRESHOLD)
    if isinstance(record, InboundMessage):
        outcome = apply_inbound(known.row, record, LIST, WORDS)
    else:
        outcome = order(known.row, record)
    return Known(outcome.row, known.messages, outcome.events)


def run(records: Iterable[Change]) -> tuple[Known, list[Event | ContactState]]:
    """Return the state after some records, and all events; the row is read from its bytes at each step."""
    known = Known(ContactRow(since=0))
    events: list[Event | ContactState] = []
    for record in records:
        known = apply(known, record)
        known = known._replace(row=from_bytes(to_bytes(known.row)))
        events += known.events
    return known, events


@st.composite
def receipts(draw: st.DrawFn) -> list[Receipt]:
    """Receipts of a few messages. Some have the same time, one ahead of our clock, or none."""
    said = draw(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(REPORTS)), min_size=1, max_size=12))
    received = draw(st.permutations(range(1, len(said) + 1)))
    times = draw(st.lists(st.none() | st.integers(1, 16), min_size=len(said), max_size=len(said)))
    return [
        receipt(message, report, at, received_at=received_at)
        for (message, report), at, received_at in zip(said, times, received, strict=True)
    ]


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[Receipt], list[Receipt]]:
    """Receipts, and the same ones as they arrive: in another order, some of them repeated."""
    sent = draw(receipts())
    again = draw(st.lists(st.sampled_from(sent), max_size=5))
    return sent, draw(st.permutations([*sent, *again]))


@st.composite
def changes(draw: st.DrawFn) -> list[Change]:
    """Receipts, replies, and orders about one contact, each with its own time, in any order."""
    records: list[Change] = list(draw(receipts()))
    texts = draw(st.lists(st.sampled_from(["STOP", "START", "hello"]), max_size=5))
    orders = draw(st.lists(st.sampled_from(["remove", "restore"]), max_size=3))
    times = iter(draw(st.permutations(range(len(texts) + len(orders)))))
    records += [inbound(text, at, id=f"SM{at}") for text, at in zip(texts, times, strict=False)]
    records += [command(order, at) for order, at in zip(orders, times, strict=False)]
    return draw(st.permutations(records))


def last_word(sent: Iterable[Receipt]) -> dict[str, Receipt]:
    """Return each message's report of the highest rank, among equals the latest, if necessary by first receipt."""
    firsts: dict[object, Receipt] = {}
    for said in sorted(sent, key=lambda r: r.received_at):
        firsts.setdefault((said.provider_message_id, said.status_detail, said.final, said.occurred_at), said)
    by_message: dict[str, Receipt] = {}
    for said in sorted(
        firsts.values(), key=lambda r: (rank(r.status, r.status_detail, r.final), report_of(r).at, r.received_at)
    ):
        by_message[said.provider_message_id] = said
    return by_message


@given(arrivals())
def test_the_states_of_messages_do_not_depend_on_the_order_of_arrival(
    case: tuple[list[Receipt], list[Receipt]],
) -> None:
    sent, arrived = case
    known, events = run(arrived)
    expected = {r.provider_message_id: r for r in last_word(sent).values()}
    states = {name.removeprefix("infobip:"): row.state for name, row in known.messages.items()}
    assert {name: (state.detail, state.at) for name, state in states.items() if state} == {
        name: (r.status_detail, report_of(r).at) for name, r in expected.items()
    }
    assert known.row.counted == run(sent)[0].row.counted
    told = {e.message_id: e.status_detail for e in events if isinstance(e, DeliveryEvent)}
    assert told == {name: r.status_detail for name, r in expected.items()}


@given(arrivals())
def test_a_removal_happens_in_every_order(case: tuple[list[Receipt], list[Receipt]]) -> None:
    """Only whether failures that are later corrected remove the contact does depend on the order: a correction may
    have come before them. But never is a contact active against what the final states say.
    """
    sent, arrived = case
    known, events = run(arrived)
    row = known.row
    removing = any(report.status_class in REMOVALS for report in sent)
    if removing or row.failures >= THRESHOLD:
        assert not row.active
    if not removing:
        failing = {report.provider_message_id for report in sent if report.status_class == "transient"}
        assert row.active or len(failing) >= THRESHOLD
    told = [type(e) for e in events if isinstance(e, UnsubscribeEvent | RemovedEvent)]
    # Who is removed and then opts out is told of twice: the second is what the person asked.
    assert told in ([], [UnsubscribeEvent], [RemovedEvent], [RemovedEvent, UnsubscribeEvent])
    assert bool(told) == (not row.active)


@given(arrivals(), st.data())
def test_what_was_applied_changes_nothing_when_it_is_read_again(
    case: tuple[list[Receipt], list[Receipt]], data: st.DataObject
) -> None:
    _, arrived = case
    known, _ = run(arrived)
    for record in arrived[: data.draw(st.integers(0, len(arrived)))]:
        again = apply(known, record)
        assert again.row is known.row
        assert again.events == ()


@given(changes())
def test_the_published_state_is_the_state_of_the_row(records: list[Change]) -> None:
    known, events = run(records)
    row = known.row
    published = [event for event in events if isinstance(event, ContactState)]
    shown = (published[-1].active, published[-1].failures, published[-1].reason) if published else (True, 0, None)
    assert shown == (row.active, row.failures, row.reason)
    assert all(before != after for before, after in pairwise(published))
    assert row.active == (row.reason is None)


@given(changes())
def test_a_contact_whose_last_word_was_stop_is_out_in_every_order(records: list[Change]) -> None:
    words = [(r.occurred_at or 0, r.text) for r in records if isinstance(r, InboundMessage) and r.text != "hello"]
    orders = [(r.issued_at, r.command) for r in records if isinstance(r, ContactCommand)]
    assume(orders == sorted(orders))  # Kafka gives them in the order in which it got them.
    _, last = max([*words, *orders], default=(0, "nothing"))
    if last in ("STOP", "remove"):
        assert not run(records)[0].row.active


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_a_row_stays_bounded_and_sorted(random: Random) -> None:
    known = Known(ContactRow(since=0))
    for n in range(100):
        message, said, at = f"m{random.randrange(80)}", random.choice(REPORTS), random.randrange(1, 500)
        known = apply(known, receipt(message, said, at))
        known = apply(known, inbound("hello", n, id=f"SM{n}"))
        row = known.row
        assert len(row.counted) <= MIN_COUNTED
        assert len(row.inbound) <= MAX_INBOUND
        assert list(row.counted) == sorted(row.counted, key=lambda message: (message.at, message.key))
        assert len({message.key for message in row.counted}) == len(row.counted)
