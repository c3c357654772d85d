"""Whether a number may be texted on a list, combining the list's state with the whole account's. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from schemas.ids import contact_key
from schemas.records import ContactState

WHOLE_ACCOUNT = ""
"""List number for states that apply to every list of an account, including future ones."""

ALL_LISTS = "all"
"""What people and programs write instead."""

LIST_SCOPE, ACCOUNT_SCOPE = "list", "account"
"""Values of `scope`: where a contact's state comes from."""


def unrecorded(account: str, list_number: str, number: str) -> ContactState:
    """Return the state of a contact without a record: it may be texted."""
    return ContactState(
        contact=contact_key(account, list_number, number),
        account=account,
        list_number=list_number,
        phone_number=number,
        active=True,
        failures=0,
        reason=None,
        since=0,
        last_event_id="",
    )


def strictest(states: Iterable[ContactState | None]) -> ContactState | None:
    """Combine the states recorded under the spellings of one number: a removal under any of them wins, then a hold.

    A list is exempt from an account-wide removal only if it is under every spelling that has one.
    """
    known = sorted((state for state in states if state is not None), key=lambda state: (state.active, state.held))
    if not known:
        return None
    first, *others = known
    exempt = [frozenset(state.except_lists) for state in others if not state.active]
    if not exempt or not first.except_lists:
        return first
    return replace(first, except_lists=tuple(each for each in first.except_lists if all(each in of for of in exempt)))


def effective_state(own: ContactState, whole: ContactState | None) -> ContactState:
    """Return the state that decides on a list. `own` is the list's state, `whole` the whole account's, or None.

    A removal from the list itself is shown first, if there is one; a removal takes precedence over a hold.
    """
    if whole is None or not (own.active or own.held):
        return own
    since = max(own.since, whole.since)
    is_free = whole.active or own.list_number in whole.except_lists
    if is_free or (own.held and whole.held):
        return own if own.held else replace(own, since=since)
    return replace(own, active=False, reason=whole.reason, since=since, scope=ACCOUNT_SCOPE, held=whole.held)
