"""Whether a number may be texted on one list, held against what is known of it for the whole account. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from schemas.ids import contact_key
from schemas.records import ContactState

WHOLE_ACCOUNT = ""
"""The list number of what holds for every list of an account, those made later too."""

ALL_LISTS = "all"
"""What people and programs write for it."""

LIST_SCOPE, ACCOUNT_SCOPE = "list", "account"
"""Values of `scope`: where the state of a contact comes from."""


def unrecorded(account: str, list_number: str, number: str) -> ContactState:
    """State of a contact of which nothing is recorded: it may be texted."""
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


def recorded(states: Iterable[ContactState | None]) -> ContactState | None:
    """What holds of the states that are recorded under the spellings of one number: a removal under any of them, else
    what is held."""
    known = [state for state in states if state is not None]
    return min(known, key=lambda state: (state.active, state.held), default=None)


def held(own: ContactState, whole: ContactState | None) -> ContactState:
    """The state on a list as it holds. `own` is the list's, `whole` the whole account's, or None.

    What removed the contact from the list itself is what is shown, where something has; a removal goes before a hold.
    """
    if whole is None or not (own.active or own.held):
        return own
    since = max(own.since, whole.since)
    is_free = whole.active or own.list_number in whole.except_lists
    if is_free or (own.held and whole.held):
        return own if own.held else replace(own, since=since)
    return replace(own, active=False, reason=whole.reason, since=since, scope=ACCOUNT_SCOPE, held=whole.held)
