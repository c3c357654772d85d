"""What removes a number from every list of its account, and what brings it back: rules of its row for the account."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from schemas.records import AccountConfig
from streams.row import ContactRow
from streams.rules.outcome import OPT_OUT, RENEWABLE, Cause, ContactChange, removed, restored

EVERYWHERE = "*"
"""Among the receivers of opt-outs: all. No START says as much."""

MAX_STOPS = 16
"""Receivers of opt-outs that a row keeps. With more, only an operator brings the number back everywhere."""

WISHES = frozenset({OPT_OUT, "complaint"})
"""Reasons that say what the person wants, to which `opt_out_scope` applies. The others are about a number."""


def removes_everywhere(account: AccountConfig | None, is_certain: bool, reason: str, at: int) -> bool:
    """Whether a removal is from every list of the account: its list is not known for certain, or the account's setting
    says so of what people ask for at that time (ms)."""
    if not is_certain:
        return True
    if account is None or account.opt_out_scope != "account" or reason not in WISHES:
        return False
    return account.opt_out_scope_from is None or at >= account.opt_out_scope_from


def holds(row: ContactRow, list_number: str) -> bool:
    """Whether the row for the whole account keeps a list from texting the number."""
    return not row.may_be_texted and list_number not in row.except_lists


def stopped(row: ContactRow, receiver: str) -> ContactRow:
    """The row with an opt-out to a receiver, which only a START to the same one undoes."""
    if receiver in row.stops or EVERYWHERE in row.stops:
        return row
    stops = (*row.stops, receiver)
    return replace(row, stops=stops if len(stops) <= MAX_STOPS and receiver != EVERYWHERE else (EVERYWHERE,))


def ended(row: ContactRow, reason: str, at: int, consented: Collection[str]) -> ContactRow:
    """The row of a number that was given up at `at` (ms), or is somebody else's since: out of every list but those for
    which its holder has `consented` later."""
    after = removed(row, reason, at)
    return replace(after, except_lists=tuple(sorted(consented))) if after.removed_at > row.removed_at else after


def start_again(row: ContactRow | None, receiver: str, cause: Cause) -> ContactChange:
    """What START to a receiver of no list does: it undoes the opt-out to the same receiver, and no other's."""
    before = row or ContactRow(since=cause.at)
    if not _may_come_back(before, cause.at, is_ordered=False) or receiver not in before.stops:
        return ContactChange(before)
    left = tuple(each for each in before.stops if each != receiver)
    return ContactChange(replace(before, stops=left) if left else restored(before, cause.at), cause=cause)


def come_back(row: ContactRow | None, list_number: str, cause: Cause, *, is_ordered: bool) -> ContactChange:
    """What START to a list, or an operator's order to restore a contact of it, does for this list, and no other."""
    before = row or ContactRow(since=cause.at)
    if not _may_come_back(before, cause.at, is_ordered) or list_number in before.except_lists:
        return ContactChange(before)
    return ContactChange(replace(before, except_lists=(*before.except_lists, list_number)), cause=cause)


def _may_come_back(row: ContactRow, at: int, is_ordered: bool) -> bool:
    return not row.may_be_texted and at >= row.removed_at and (is_ordered or row.reason in RENEWABLE)
