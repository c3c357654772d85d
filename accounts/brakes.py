"""Brake settings: how much of a list rules may remove within an hour. Pure."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from schemas.records import AccountConfig, ListConfig

DEFAULT_SHARE = 0.1
"""A campaign that fails as a whole removes far more of a list, and an ordinary day far less: a list has a few dead
numbers in a hundred, and they do not all show within an hour."""

DEFAULT_MINIMUM = 500
"""Contacts of a list that may be removed per hour, whatever their share. Small lists are never braked, and each of 12
partitions counts more than 40 removals before it holds any: fewer would not be representative."""

OFF = 1.0
"""The share of a brake that is off: the whole list may be removed."""

MOST_MINIMUM = 1_000_000_000
"""Maximum value of a minimum."""


class Brake(NamedTuple):
    """The share of a list, and the minimum number of contacts, that rules may remove per hour."""

    share: float = DEFAULT_SHARE
    minimum: int = DEFAULT_MINIMUM

    @property
    def is_off(self) -> bool:
        """Whether it never holds removals."""
        return self.share >= OFF

    def most(self, contacts: int, partitions: int) -> int:
        """Return how many of `contacts` in one partition of a list may be removed per hour, given the partition count.

        A hash spreads recipients, so each partition has the same share of a list.
        """
        return max(ceil(self.minimum / partitions), int(self.share * contacts))


def brake_of(account: AccountConfig | None, config: ListConfig | None) -> Brake:
    """Return the brake of a list or, without one, that of account-wide removals. A list's setting overrides its
    account's."""
    share, minimum = Brake()
    for each in (account, config):
        if each is not None and each.brake_share is not None:
            share = each.brake_share
        if each is not None and each.brake_minimum is not None:
            minimum = each.brake_minimum
    return Brake(share, minimum)
