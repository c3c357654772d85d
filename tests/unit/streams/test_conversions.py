"""The effect of links and postbacks on a click, in any order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import ConversionEvent, Postback, TrackedLink
from streams.click_row import ClickRow
from streams.conversions import (
    MAX_CONVERSIONS,
    MAX_REGISTRATIONS,
    MAX_WAITING,
    ClickChange,
    apply_link,
    apply_postback,
    settle,
)
from tests.unit.streams.click_records import ACCOUNTS, CLICK, REPEAT, WAIT, arrived, link, postback

Record = TrackedLink | Postback


class Click:
    """One click's row, and what went out."""

    def __init__(self, repeat_ms: int = REPEAT) -> None:
        self.row = ClickRow()
        self.now = 0
        self.results: list[tuple[str, str | None]] = []
        self.events: list[ConversionEvent] = []
        self._repeat_ms = repeat_ms

    def apply(self, *records: Record) -> Click:
        for record in records:
            if isinstance(record, TrackedLink):
                self._take(apply_link(self.row, record, self.now, ACCOUNTS.get, self._repeat_ms))
            else:
                waiting = arrived(record, self.now)
                self._take(apply_postback(self.row, waiting, self.now, ACCOUNTS.get, self._repeat_ms))
        return self

    def wait(self, ms: int = WAIT) -> Click:
        self.now += ms
        self._take(settle(self.row, self.now, ACCOUNTS.get, self._repeat_ms))
        return self

    def _take(self, outcome: ClickChange) -> None:
        self.row = outcome.row
        for settled in outcome.settled:
            result = settled.result
            if isinstance(result, ConversionEvent):
                self.events.append(result)
                self.results.append((result.account, result.message_id))
            else:
                self.results.append((result.reason, None))


# Whose conversion it is

JOINED = ("acme", "m-1")


@pytest.mark.parametrize(
    ("records", "at_once", "in_the_end"),
    [
        # the account is named
        ([link(), postback(account="acme")], [JOINED], [JOINED]),
        ([postback(account="acme"), link()], [JOINED], [JOINED]),
        ([postback(account="acme")], [], [("acme", None)]),
        ([postback(account="acme"), link("beta")], [], [("acme", None)]),
        ([link("beta"), link(), postback(account="acme")], [JOINED], [JOINED]),
        ([link("token"), postback(account="token")], [("token", "m-1")], [("token", "m-1")]),
        # only the click tells it
        ([link(), postback()], [JOINED], [JOINED]),
        ([postback(), link()], [JOINED], [JOINED]),
        ([postback()], [], [("unknown_click", None)]),
        ([link(), link("beta"), postback()], [("ambiguous_account", None)], [("ambiguous_account", None)]),
        ([link("nobody"), postback()], [("nobody", "m-1")], [("nobody", "m-1")]),
        # what the click's account asks for
        ([link("token"), postback()], [("not_authentic", None)], [("not_authentic", None)]),
        ([postback(), link("token")], [("not_authentic", None)], [("not_authentic", None)]),
        ([link("fenced"), postback()], [("fenced", "m-1")], [("fenced", "m-1")]),
        ([link("fenced"), postback(remote_ip="198.51.100.1")], [("not_authentic", None)], [("not_authentic", None)]),
        ([link("fenced"), postback(remote_ip=None)], [("not_authentic", None)], [("not_authentic", None)]),
        ([link("fenced"), postback(remote_ip="::ffff:203.0.113.9")], [("fenced", "m-1")], [("fenced", "m-1")]),
    ],
)
def test_whose_conversion_it_is(
    records: list[Record], at_once: list[tuple[str, str | None]], in_the_end: list[tuple[str, str | None]]
) -> None:
    click = Click().apply(*records)
    assert click.results == at_once
    assert click.wait().results == in_the_end
    assert click.row.waiting == ()


def test_a_conversion_says_what_the_postback_and_the_click_say() -> None:
    (event,) = Click().apply(link(), postback(number=3)).events
    assert event == ConversionEvent(
        event_id=event.event_id,
        account="acme",
        message_id="m-1",
        click_id=CLICK,
        phone_number="+15550001111",
        list_number="+18005551234",
        payout="2.50",
        currency="USD",
        network="tune",
        type="sale",
        external_id="x-3",
        timestamp=1_003,
    )


def test_an_orphan_is_of_no_message_and_no_contact() -> None:
    (event,) = Click().apply(postback(account="acme")).wait().events
    assert (event.message_id, event.phone_number, event.list_number) == (None, None, None)
    assert event.payout == "2.50"


def test_a_link_that_comes_after_the_wait_changes_nothing() -> None:
    click = Click().apply(postback(account="acme")).wait().apply(link(), postback(account="acme")).wait()
    assert click.results == [("acme", None), ("repeated", None)]


def test_nothing_is_settled_before_its_time() -> None:
    click = Click().apply(postback(account="acme")).wait(WAIT - 1)
    assert click.results == []
    assert click.row.due_at == WAIT


def test_each_postback_waits_for_itself() -> None:
    click = Click().apply(postback(1, "acme")).wait(1_000).apply(postback(2, "acme"))
    assert click.row.due_at == WAIT
    click.wait(WAIT - 1_000)
    assert len(click.events) == 1
    assert click.row.due_at == WAIT + 1_000


# Repetitions


@pytest.mark.parametrize(
    ("first", "second", "is_repeated"),
    [
        (postback(1), postback(2, external_id="x-1"), True),
        (postback(1), postback(2, external_id="x-1", received_at=10**12), True),
        (postback(1), postback(2, external_id="x-1", payout="9"), True),
        (postback(1), postback(2), False),
        (postback(1), postback(2, external_id="x-1", type="refund"), False),
        (postback(1), postback(2, external_id="x-1", goal="7"), False),
        (postback(1), postback(2, external_id="x-1", network="everflow"), False),
        (postback(1), postback(2, external_id=None), False),
        (postback(1, external_id=None), postback(2, external_id=None), True),
        (postback(1, external_id=None), postback(2, external_id=None, payout="2.5"), True),
        (postback(1, external_id=None), postback(2, external_id=None, received_at=1_001 + REPEAT), True),
        (postback(1, external_id=None), postback(2, external_id=None, received_at=1_002 + REPEAT), False),
        (postback(1, external_id=None), postback(2, external_id=None, payout="2.51"), False),
        (postback(1, external_id=None), postback(2, external_id=None, payout=None), False),
        (postback(1, external_id=None), postback(2, external_id=None, currency="EUR"), False),
        (postback(1, external_id=None), postback(2, external_id=None, type="lead"), False),
        (postback(1, external_id=None), postback(2, external_id=None, goal="7"), False),
    ],
)
@pytest.mark.parametrize("waits", [False, True])
def test_what_is_a_repetition(first: Postback, second: Postback, is_repeated: bool, waits: bool) -> None:
    records: list[Record] = [first, second, link()] if waits else [link(), first, second]
    click = Click().apply(*records)
    assert click.results == [JOINED, ("repeated", None) if is_repeated else JOINED]


def test_the_same_conversion_of_two_accounts_is_two() -> None:
    click = Click().apply(link(), link("beta"), postback(1, "acme"), postback(2, "beta", external_id="x-1"))
    assert click.results == [JOINED, ("beta", "m-1")]


def test_without_a_window_only_the_very_same_postback_is_a_repetition() -> None:
    one = postback(1, external_id=None)
    click = Click(repeat_ms=0).apply(link(), one, one, postback(2, external_id=None))
    assert click.results == [JOINED, ("repeated", None), JOINED]


# Any order, any number of times

conversions = [
    *(postback(number, "acme") for number in range(1, 4)),
    *(postback(number) for number in range(4, 7)),
    postback(7, external_id=None),
    postback(8, external_id=None, type="lead"),
]
shuffled = st.lists(st.sampled_from([link(), *conversions]), min_size=1, max_size=30)


@given(shuffled)
def test_order_and_number_do_not_matter_while_postbacks_wait(records: list[Record]) -> None:
    click = Click().apply(*records, link()).wait()
    distinct = {record.event_id for record in records if isinstance(record, Postback)}
    assert len(click.events) == len({event.event_id for event in click.events}) == len(distinct)
    assert {(event.account, event.message_id) for event in click.events} <= {JOINED}


@given(shuffled, st.data())
def test_a_replay_of_any_part_gives_nothing_new(records: list[Record], data: st.DataObject) -> None:
    click = Click().apply(link(), *records)
    row, events = click.row, len(click.events)
    click.apply(*data.draw(st.permutations(records)))
    assert len(click.events) == events
    assert click.row == row


def test_a_record_without_effect_leaves_the_same_row() -> None:
    row = Click().apply(link(), postback()).row
    assert apply_link(row, link(), 0, ACCOUNTS.get, REPEAT).row is row
    assert apply_postback(row, arrived(postback()), 0, ACCOUNTS.get, REPEAT).row is row


def test_of_two_registrations_of_one_account_the_later_message_counts() -> None:
    old, new = link(message_id="m-1", registered_at=1), link(message_id="m-2", registered_at=2)
    for records in ([old, new], [new, old]):
        assert Click().apply(*records, postback()).results == [("acme", "m-2")]


# Bounds


def test_registrations_are_bounded() -> None:
    click = Click().apply(*(link(f"account-{n}", registered_at=n) for n in range(MAX_REGISTRATIONS + 3)))
    assert [each.account for each in click.row.registrations] == [
        f"account-{n}" for n in range(3, 3 + MAX_REGISTRATIONS)
    ]


def test_conversions_are_bounded() -> None:
    click = Click().apply(link(), *(postback(number) for number in range(MAX_CONVERSIONS + 3)))
    assert len(click.row.conversions) == MAX_CONVERSIONS
    assert len(click.events) == MAX_CONVERSIONS + 3


def test_one_postback_too_many_does_not_wait() -> None:
    click = Click().apply(*(postback(number, "acme") for number in range(MAX_WAITING + 1)))
    assert click.results == [("acme", None)]
    assert len(click.row.waiting) == MAX_WAITING


def test_a_payout_that_is_no_number_stops_nothing() -> None:
    odd = [postback(number, external_id=None, payout="two") for number in (1, 2)]
    assert Click().apply(*odd, link()).results == [JOINED, ("repeated", None)]
