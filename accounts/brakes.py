"""How much of a list rules may remove in an hour: the settings of its brake. Pure."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from schemas.records import AccountConfig, ListConfig

DEFAULT_SHARE = 0.1
"""A campaign that fails as a whole takes far more of a list, ordinary days take far less: the dead numbers of a list
are a few in a hundred, and they do not all show within an hour."""

DEFAULT_MINIMUM = 500
"""So many contacts of a list may go in an hour whatever their share. Small lists are never braked, and in each of 12
partitions more than 40 removals are counted before any is held: fewer would say nothing about the list."""

OFF = 1.0
"""The share of a brake that is off: a whole list may go."""

MOST_MINIMUM = 1_000_000_000
"""Contacts that a minimum may be at most."""


class Brake(NamedTuple):
    """Share of a list, and contacts of a list whatever their share, that rules may remove in an hour."""

    share: float = DEFAULT_SHARE
    minimum: int = DEFAULT_MINIMUM

    @property
    def is_off(self) -> bool:
        """Whether it never holds."""
        return self.share >= OFF

    def most(self, contacts: int, partitions: int) -> int:
        """Contacts that may go in an hour of `contacts` of a list that lie in one of so many partitions.

        Recipients are spread over partitions by a hash, so each has the same share of a list.
        """
        return max(ceil(self.minimum / partitions), int(self.share * contacts))


def brake_of(account: AccountConfig | None, config: ListConfig | None) -> Brake:
    """The brake of a list; without one, that of removals from every list. A list's setting wins over its account's."""
    share, minimum = Brake()
    for each in (account, config):
        if each is not None and each.brake_share is not None:
            share = each.brake_share
        if each is not None and each.brake_minimum is not None:
            minimum = each.brake_minimum
    return Brake(share, minimum)
