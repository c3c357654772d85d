"""A number that was given up or reassigned: only consent from before that ends."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from schemas.ids import contact_key
from schemas.pseudonyms import Pseudonyms
from schemas.records import (
    ContactCommand,
    ContactState,
    InboundMessage,
    ListConfig,
    Record,
    RemovedEvent,
    UnsubscribeEvent,
)
from streams.rules.everywhere import blocks
from tests.unit.streams.contact_records import (
    ABSENT,
    ACCOUNT,
    LIST,
    NUMBER,
    SPAM,
    START_OF_DAY,
    command,
    inbound,
    receipt,
)
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, PSEUDONYM_KEY, Stage

OTHER = "+18005559999"
PSEUDONYM = Pseudonyms(PSEUDONYM_KEY).of(ACCOUNT, NUMBER)
BEFORE, THEN, AFTER, NOW = 1_000, 2_000, 3_000, 90_000


def stage() -> Stage:
    return Stage(NOT_REGISTERING, ONE_LIST, ListConfig(account=ACCOUNT, number=OTHER))


def given_up(reason: str = "deactivated", at: int | None = THEN, ordered_at: int = NOW) -> ContactCommand:
    return command("remove", ordered_at, reason, list_number="", happened_at=at)


def reassigned(at: int = THEN, id: str = "e-1") -> InboundMessage:
    return inbound(None, at, id=id, kind="opt_out", keyword="REASSIGNED", to=LIST)


ENDS = [given_up(), given_up("reassigned"), reassigned()]


def out(found: Stage) -> dict[str, str | None]:
    """The lists from which the number must not be texted, with the reason."""
    states = {each: found.state(NUMBER, each) for each in (LIST, OTHER)}
    return {each: state.reason for each, state in states.items() if not state.active}


@pytest.mark.parametrize("end", ENDS)
class TestWhoNeverAgreedSince:
    def test_is_out_of_every_list_from_that_date_on(self, end: Record) -> None:
        found = stage()
        told = [event for event in found.apply(end) if isinstance(event, RemovedEvent)]
        reason = "deactivated" if end is ENDS[0] else "reassigned"
        assert out(found) == {LIST: reason, OTHER: reason}
        assert {(event.list_number, event.reason, event.timestamp) for event in told} == {
            (listed, reason, START_OF_DAY + THEN) for listed in (LIST, OTHER)
        }

    def test_is_told_of_it_once(self, end: Record) -> None:
        found = stage()
        found.apply(end)
        assert found.apply(end) == []

    def test_has_not_opted_out(self, end: Record) -> None:
        assert not [event for event in stage().apply(end) if isinstance(event, UnsubscribeEvent)]

    def test_comes_back_on_the_list_that_it_writes_start_to(self, end: Record) -> None:
        found = stage()
        found.apply(end, inbound("START", AFTER, to=LIST))
        assert list(out(found)) == [OTHER]

    def test_does_not_come_back_by_a_start_from_before(self, end: Record) -> None:
        found = stage()
        found.apply(end, inbound("START", BEFORE, to=LIST))
        assert list(out(found)) == [LIST, OTHER]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "consent",
    [inbound("START", AFTER, to=LIST), command("restore", AFTER)],
    ids=["START", "a restore"],
)
def test_whoever_agreed_since_stays_on_that_list_in_whatever_order_it_comes(end: Record, consent: Record) -> None:
    for order in permutations([end, consent]):
        found = stage()
        found.apply(*order)
        assert list(out(found)) == [OTHER]


def test_a_message_that_is_counted_leaves_the_consent_known() -> None:
    found = stage()
    found.apply(inbound("START", AFTER, to=LIST), receipt("m1", ABSENT, AFTER + 1), given_up())
    assert list(out(found)) == [OTHER]


@pytest.mark.parametrize("consent", [inbound("START", AFTER, to=LIST), command("restore", AFTER)])
def test_a_later_date_ends_that_consent_too(consent: Record) -> None:
    found = stage()
    found.apply(consent, given_up(at=AFTER + 1))
    assert list(out(found)) == [LIST, OTHER]


def test_a_restore_of_every_list_counts_as_consent_for_every_list() -> None:
    found = stage()
    found.apply(command("restore", AFTER, list_number=""), given_up())
    assert out(found) == {}


def test_a_date_in_the_future_counts_as_the_order_does() -> None:
    found = stage()
    found.apply(given_up(at=NOW + 5_000, ordered_at=NOW), inbound("START", NOW + 1_000, to=LIST))
    assert list(out(found)) == [OTHER]


def test_an_order_without_a_date_counts_from_when_it_was_given() -> None:
    found = stage()
    found.apply(inbound("START", AFTER, to=LIST), given_up(at=None, ordered_at=NOW))
    assert list(out(found)) == [LIST, OTHER]


@pytest.mark.parametrize("wish", [inbound("STOP", BEFORE), receipt("m1", SPAM, BEFORE)])
@pytest.mark.parametrize("end", ENDS)
def test_what_a_person_asked_for_stays_the_reason(wish: Record, end: Record) -> None:
    reasons = set()
    for order in permutations([wish, end]):
        found = stage()
        found.apply(*order)
        reasons.add(out(found)[LIST])
    assert reasons == {"message" if isinstance(wish, InboundMessage) else "complaint"}


@pytest.mark.parametrize("end", ENDS)
def test_start_undoes_no_complaint_of_a_number_that_was_given_up(end: Record) -> None:
    found = stage()
    found.apply(receipt("m1", SPAM, BEFORE), end, inbound("START", AFTER, to=LIST))
    assert out(found)[LIST] == "complaint"


@pytest.mark.parametrize("out_before", [receipt("m1", SPAM, BEFORE, from_=None), command("remove", list_number="")])
@pytest.mark.parametrize("end", ENDS)
def test_consent_that_a_complaint_outweighs_brings_back_no_list_of_a_number_given_up_before_it(
    out_before: Record, end: Record
) -> None:
    found = stage()
    found.apply(out_before, inbound("START", AFTER, to=LIST), end)
    assert list(out(found)) == [LIST, OTHER]


@pytest.mark.parametrize("end", ENDS)
def test_a_list_that_an_operator_restored_after_a_complaint_stays_restored(end: Record) -> None:
    found = stage()
    found.apply(receipt("m1", SPAM, BEFORE, from_=None), command("restore", AFTER), end)
    assert list(out(found)) == [OTHER]


@pytest.mark.parametrize("end", ENDS)
def test_a_stop_after_the_date_removes_whoever_agreed_since(end: Record) -> None:
    found = stage()
    found.apply(inbound("START", AFTER, to=LIST), end, inbound("STOP", AFTER + 1, to=LIST, id="SM2"))
    assert out(found)[LIST] == "message"


@pytest.mark.parametrize("end", [given_up(at=600_000), given_up(at=NOW), reassigned(600_000), reassigned(BEFORE)])
def test_an_erased_number_is_removed_under_its_pseudonym_alone(end: Record) -> None:
    found = stage()
    found.apply(inbound("hello", BEFORE), *(command("erase", NOW, list_number=each) for each in (LIST, OTHER, "")))
    told = found.apply(end)
    assert NUMBER not in repr(told)
    assert found.holds(NUMBER) == []
    assert {state.active for state in told if isinstance(state, ContactState)} == {False}


BACK_AT = 600_000
"""When an erased number comes back."""


@pytest.mark.parametrize("out_before", [inbound("hello", BEFORE), inbound("STOP", BEFORE, scope="all")])
@pytest.mark.parametrize("back", [inbound("START", BACK_AT, id="SM2"), command("restore", BACK_AT)])
@pytest.mark.parametrize("at", [BACK_AT - 1, BACK_AT + 1])
class TestAnErasedNumberThatHasComeBack:
    def came_back(self, out_before: Record, back: Record) -> Stage:
        found = stage()
        erasure = (command("erase", NOW, list_number=each) for each in (LIST, OTHER, ""))
        found.apply(out_before, *erasure, back)
        assert may_be_texted(found)
        return found

    @pytest.mark.parametrize("kind", [given_up, reassigned])
    def test_is_removed_unless_it_agreed_since(self, kind: Any, out_before: Record, back: Record, at: int) -> None:
        found = self.came_back(out_before, back)
        found.apply(kind(at) if kind is reassigned else given_up(at=at, ordered_at=BACK_AT + NOW))
        assert may_be_texted(found) is (at < BACK_AT)

    def test_is_removed_from_a_list_unless_it_agreed_since(self, out_before: Record, back: Record, at: int) -> None:
        found = self.came_back(out_before, back)
        found.apply(command("remove", BACK_AT + NOW, "reassigned", happened_at=at))
        assert may_be_texted(found) is (at < BACK_AT)


def may_be_texted(found: Stage) -> bool:
    """Whether a check would say that the number may be texted from the list: where the number has no row, that of its
    pseudonym counts."""
    names = {each: NUMBER if found.holds(contact_key(ACCOUNT, each, NUMBER)) else PSEUDONYM for each in (LIST, "")}
    own, whole = found.contact(names[LIST]), found.contact(names[""], "")
    return own.may_be_texted and not blocks(whole, LIST)


@pytest.mark.parametrize("crash_of", ["contacts"])
def test_a_crash_in_between_changes_nothing(crash_of: str) -> None:
    found = stage()
    first = found.crash_on(given_up(), crash_of)
    again = found.apply(given_up())
    assert [event.event_id for event in first if isinstance(event, RemovedEvent)] == [
        event.event_id for event in again if isinstance(event, RemovedEvent)
    ]
    assert list(out(found)) == [LIST, OTHER]
