"""The effective state of a contact on a list, and since when: its own state combined with the account-wide one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from accounts.suppression import ACCOUNT_SCOPE, LIST_SCOPE, WHOLE_ACCOUNT, effective_state, unrecorded
from schemas.records import ContactState

LIST, NUMBER = "+18005551234", "+15551230001"


def state(list_number: str, since: int, *, active: bool = True) -> ContactState:
    reason = None if active else "message"
    return replace(unrecorded("acme", list_number, NUMBER), active=active, reason=reason, since=since)


@pytest.mark.parametrize(("own", "whole"), [(200, 300), (300, 200)])
@pytest.mark.parametrize("is_out", [True, False])
def test_it_holds_since_the_later_of_the_two(own: int, whole: int, is_out: bool) -> None:
    found = effective_state(state(LIST, own), state(WHOLE_ACCOUNT, whole, active=not is_out))
    assert (found.active, found.since) == (not is_out, 300)


ACTIVE, HELD, REMOVED = {"active": True}, {"active": False, "held": True}, {"active": False}


@pytest.mark.parametrize(
    ("own", "whole", "shown", "scope"),
    [
        (ACTIVE, ACTIVE, ACTIVE, LIST_SCOPE),
        (ACTIVE, HELD, HELD, ACCOUNT_SCOPE),
        (ACTIVE, REMOVED, REMOVED, ACCOUNT_SCOPE),
        (HELD, ACTIVE, HELD, LIST_SCOPE),
        (HELD, HELD, HELD, LIST_SCOPE),
        (HELD, REMOVED, REMOVED, ACCOUNT_SCOPE),
        (REMOVED, ACTIVE, REMOVED, LIST_SCOPE),
        (REMOVED, HELD, REMOVED, LIST_SCOPE),
        (REMOVED, REMOVED, REMOVED, LIST_SCOPE),
    ],
)
def test_a_removal_outweighs_a_hold_and_a_hold_outweighs_an_active_state(
    own: dict[str, bool], whole: dict[str, bool], shown: dict[str, bool], scope: str
) -> None:
    found = effective_state(replace(state(LIST, 1), **own), replace(state(WHOLE_ACCOUNT, 1), **whole))
    assert (found.active, found.held, found.scope) == (shown["active"], shown.get("held", False), scope)


def test_a_list_that_the_whole_account_leaves_out_may_text_since_the_later_of_the_two() -> None:
    whole = replace(state(WHOLE_ACCOUNT, 300, active=False), except_lists=(LIST,))
    assert effective_state(state(LIST, 200), whole).since == 300


def test_what_removed_it_from_the_list_itself_is_what_is_shown() -> None:
    own = state(LIST, 200, active=False)
    assert effective_state(own, state(WHOLE_ACCOUNT, 300, active=False)) == own


def test_what_removed_it_from_every_list_is_told_by_its_scope() -> None:
    found = effective_state(state(LIST, 200), state(WHOLE_ACCOUNT, 300, active=False))
    assert (found.scope, found.reason, found.list_number) == (ACCOUNT_SCOPE, "message", LIST)
