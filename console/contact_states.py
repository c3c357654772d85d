"""Whether a number may be texted, list by list, from the copy of `sms.contacts`: the truth that senders go by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from console.contacts_view import ContactsView
from console.queries.contacts import Change
from console.queries.rows import PHONE, At
from schemas.codec import CodecError


@dataclass(frozen=True, slots=True, kw_only=True)
class ListState:
    """State of a number on one list; `may_be_texted` is null where it cannot be read."""

    list_number: str
    may_be_texted: bool | None
    reason: str | None = None
    since: At | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeContact:
    """A number on every list of an account, and what happened to it, the newest first.

    The states are true as of `as_of`. Where `is_fresh` is false that is too long ago to text anybody.
    """

    number: str = field(metadata=PHONE)
    as_of: At | None
    is_fresh: bool
    lists: tuple[ListState, ...]
    history: tuple[Change, ...]


def whole_contact(
    view: ContactsView, max_age: float, account: str, lists: Iterable[str], number: str, history: tuple[Change, ...]
) -> WholeContact:
    """The contact of a number. `max_age` is in seconds."""
    as_of = view.freshness.as_of
    return WholeContact(
        number=number,
        as_of=None if as_of is None else as_of.millis,
        is_fresh=as_of is not None and view.age() <= max_age,
        lists=tuple(_state(view, account, listed, number) for listed in sorted(lists)),
        history=history,
    )


def _state(view: ContactsView, account: str, listed: str, number: str) -> ListState:
    try:
        state = view.contact(account, listed, number)
    except CodecError:
        return ListState(list_number=listed, may_be_texted=None)
    if state is None:
        return ListState(list_number=listed, may_be_texted=True)
    return ListState(
        list_number=listed,
        may_be_texted=state.active,
        reason=state.reason,
        since=state.since,
        failures=state.failures,
    )
