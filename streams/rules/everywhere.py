"""Account-wide removals of a number and their reversal: the rules for its account-wide row."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from msgspec.structs import replace

from accounts.lists import Belonging, address_key, receivers_of
from schemas.records import AccountConfig, InboundMessage
from streams.row import ContactRow
from streams.rules.outcome import OPT_OUT, RENEWABLE, Cause, ContactChange, removed, restored, time_of

EVERYWHERE = "*"
"""Among the receivers of opt-outs: all of them. No START can undo this one."""

MAX_STOPS = 16
"""Receivers of opt-outs kept in a row. With more, only an operator can restore the number account-wide."""

WISHES = frozenset({OPT_OUT, "complaint"})
"""Reasons that express a person's wish, to which `opt_out_scope` applies. The others concern a number."""


def removes_everywhere(account: AccountConfig | None, is_certain: bool, reason: str, at: int) -> bool:
    """Whether a removal is account-wide: its list is not certain, or the account's setting says so for wishes at that
    time (ms)."""
    if not is_certain:
        return True
    if account is None or account.opt_out_scope != "account" or reason not in WISHES:
        return False
    return account.opt_out_scope_from is None or at >= account.opt_out_scope_from


class Reach(NamedTuple):
    """Where an opt-out applies: on a list or, without one, account-wide; then only a START to `receiver` undoes it."""

    list_number: str | None
    receiver: str | None = None


def reach_of(inbound: InboundMessage, reason: str, belongs: Belonging, account: AccountConfig | None) -> Reach:
    """Return where an opt-out for this reason applies: account-wide if the provider says so (`opt_out_scope`), if its
    list is not certain, or if the account has chosen that.

    If only the list was unclear, a START to the same receiver undoes it. Otherwise no START does.
    """
    is_of_all = inbound.opt_out_scope == "all"
    if not is_of_all and not removes_everywhere(account, belongs.is_certain, reason, time_of(inbound)):
        return Reach(belongs.list_number)
    return Reach(None, EVERYWHERE if is_of_all or belongs.is_certain else receiver_of(inbound))


def receiver_of(inbound: InboundMessage) -> str:
    """Return whom a reply was sent to. Receivers that a provider does not name are the same one."""
    return next(map(address_key, receivers_of(inbound)), f"{inbound.provider}:")


def blocks(row: ContactRow, list_number: str) -> bool:
    """Whether the account-wide row keeps its number from being texted from a list."""
    return not row.may_be_texted and list_number not in row.except_lists


def stopped(row: ContactRow, receiver: str) -> ContactRow:
    """Return the row after an opt-out to a receiver, which only a START to the same one undoes."""
    if receiver in row.stops or EVERYWHERE in row.stops:
        return row
    stops = (*row.stops, receiver)
    return replace(row, stops=stops if len(stops) <= MAX_STOPS and receiver != EVERYWHERE else (EVERYWHERE,))


def ended(row: ContactRow, reason: str, at: int, consented: Collection[str]) -> ContactRow:
    """Return the row of a number given up or reassigned at `at` (ms): removed from every list, except those to which
    its holder has `consented` later."""
    return sparing(row, removed(row, reason, at), consented)


def sparing(before: ContactRow, after: ContactRow, consented: Collection[str]) -> ContactRow:
    """Return a row after a removal from every list, except those to which the contact has `consented` since. If it was
    out already, such consent counts only where it has brought the contact back: START does not undo a complaint."""
    if after.removed_at <= before.removed_at:
        return after
    back = consented if before.may_be_texted else frozenset(consented).intersection(before.except_lists)
    return replace(after, except_lists=tuple(sorted(back)))


def start_again(row: ContactRow | None, receiver: str, cause: Cause) -> ContactChange:
    """Apply a START to a receiver without a list: it undoes only the opt-out to the same receiver."""
    before = row or ContactRow(since=cause.at)
    if not _may_come_back(before, cause.at, is_ordered=False) or receiver not in before.stops:
        return ContactChange(before)
    left = tuple(each for each in before.stops if each != receiver)
    return ContactChange(replace(before, stops=left) if left else restored(before, cause.at), cause=cause)


def come_back(row: ContactRow | None, list_number: str, cause: Cause, *, is_ordered: bool) -> ContactChange:
    """Apply a START to a list, or an operator's restore on it: it affects only this list."""
    before = row or ContactRow(since=cause.at)
    if not _may_come_back(before, cause.at, is_ordered) or list_number in before.except_lists:
        return ContactChange(before)
    return ContactChange(replace(before, except_lists=(*before.except_lists, list_number)), cause=cause)


def _may_come_back(row: ContactRow, at: int, is_ordered: bool) -> bool:
    """Whether a START or a command, `at` (ms), is newer than what it undoes. A START at the same time is not: times of
    some providers are in whole seconds, so nobody knows which came last."""
    if row.may_be_texted:
        return False
    return at >= row.removed_at if is_ordered else at > row.removed_at and row.reason in RENEWABLE
