"""Whether a number may be texted, list by list, from the copy of `sms.contacts`: the truth that senders go by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from accounts.suppression import LIST_SCOPE, WHOLE_ACCOUNT
from console.contacts.view import ContactsView
from console.queries.contacts import Change
from console.queries.rows import PHONE, At
from hours.policy import Verdict
from schemas.codec import CodecError


@dataclass(frozen=True, slots=True, kw_only=True)
class ListState:
    """State of a number on one list; `may_be_texted` is null if it cannot be read.

    `scope` is `account` if the account-wide record determines it. `held`: its removal waits for an admin's decision.
    """

    list_number: str
    may_be_texted: bool | None
    reason: str | None = None
    since: At | None = None
    failures: int = 0
    scope: str = LIST_SCOPE
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeAccount:
    """Whether a number is removed account-wide: it may be texted only from `except_lists`. `is_out` is null if that
    cannot be read; `held`: the removal waits for an admin's decision.
    """

    is_out: bool | None
    reason: str | None = None
    since: At | None = None
    except_lists: tuple[str, ...] = ()
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Whether now is the time to text a number that its list allows, by the account's rules.

    `reason` says why not. `not_before` is when it may be texted, `until` when that interval ends; null: unknown.
    `time_zones` are those considered, `rule` is the one that forbids it or ends the interval.
    """

    may_be_texted: bool
    reason: str | None
    not_before: At | None
    until: At | None
    time_zones: tuple[str, ...]
    rule: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeContact:
    """A number on every list of an account, and its history, newest first.

    It may be texted from a list if both the list and `now` say so.

    The states are as of `as_of`. If `is_fresh` is false, that is too old to text anybody.
    """

    number: str = field(metadata=PHONE)
    as_of: At | None
    is_fresh: bool
    now: Timing
    whole_account: WholeAccount
    lists: tuple[ListState, ...]
    history: tuple[Change, ...]


def whole_contact(
    view: ContactsView,
    max_age: float,
    account: str,
    lists: Iterable[str],
    number: str,
    verdict: Verdict,
    history: tuple[Change, ...],
) -> WholeContact:
    """Return the contact of a number. `max_age` is in seconds, `verdict` is what the rules say now."""
    as_of = view.freshness.as_of
    return WholeContact(
        number=number,
        as_of=None if as_of is None else as_of.millis,
        is_fresh=as_of is not None and view.age() <= max_age,
        now=Timing(
            may_be_texted=verdict.may,
            reason=verdict.reason,
            not_before=verdict.not_before,
            until=verdict.until,
            time_zones=verdict.zones,
            rule=verdict.rule,
        ),
        whole_account=_whole(view, account, number),
        lists=tuple(_state(view, account, listed, number) for listed in sorted(lists)),
        history=history,
    )


def _state(view: ContactsView, account: str, listed: str, number: str) -> ListState:
    try:
        state = view.recorded.standing(account, listed, number)
    except CodecError:
        return ListState(list_number=listed, may_be_texted=None)
    if state is None:
        return ListState(list_number=listed, may_be_texted=True)
    return ListState(
        list_number=listed,
        may_be_texted=state.active,
        reason=state.reason,
        since=state.since or None,
        failures=state.failures,
        scope=state.scope,
        held=state.held,
    )


def _whole(view: ContactsView, account: str, number: str) -> WholeAccount:
    try:
        state = view.recorded.contact(account, WHOLE_ACCOUNT, number)
    except CodecError:
        return WholeAccount(is_out=None)
    if state is None or state.active:
        return WholeAccount(is_out=False)
    return WholeAccount(
        is_out=True, reason=state.reason, since=state.since, except_lists=state.except_lists, held=state.held
    )
