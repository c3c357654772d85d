"""Determines the list that a report belongs to, and whether that is certain. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from schemas.numbering import canonical
from schemas.records import InboundMessage, LinkClick, ListConfig, MessageSent, Receipt

DEFAULT_THRESHOLD = 3
"""Consecutive failed messages that remove a contact, for a list without its own setting."""

ADDRESS, LIST_ID = "address", "list_id"
"""How a report identifies our side: by the address it was sent from or to, or by the provider's id of a list."""

# Channel prefixes that providers put before an address, as in rcs:acme_agent.
_channel = re.compile(r"(?:(?:rcs|whatsapp|messenger|viber|sms):\s*)+").match


class Belonging(NamedTuple):
    """The list a report belongs to. `name` is the list in its events; `list_number` is the account's list that counts
    it, or None. `is_certain`: there is no evidence against it.

    If the account has one list, that list counts reports from unconfigured senders, but without certainty. If it has
    several, the events name the sender, and no list counts the report.
    """

    name: str | None
    list_number: str | None
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Lists:
    """An account's lists by number, and by every address of a list: its number, `numbers`, `senders`.

    An address that belongs to two lists counts for neither.
    """

    configs: Mapping[str, ListConfig]
    by_address: Mapping[str, str | None]

    @classmethod
    def of(cls, configs: Mapping[str, ListConfig]) -> Lists:
        """Build the lists from these settings."""
        found: dict[str, str | None] = {}
        for number, config in configs.items():
            for address in dict.fromkeys(map(address_key, addresses_of(config))):
                found[address] = None if address in found else number
        return cls(configs, found)

    def at(self, address: str) -> str | None:
        """Return the number of the list that has an address, or None."""
        return address if address in self.configs else self.by_address.get(address_key(address))

    def named(self, provider: str, kind: str, receiver: str) -> str | None:
        """Return the number of the list that a receiver, an address or a provider's list id, belongs to, or None."""
        found = self.at(receiver)
        return _by_id(provider, receiver, self) if found is None and kind == LIST_ID else found


def list_in(lists: Collection[str], number: str) -> str | None:
    """Return the account's list with this number, in any spelling; None if there is none."""
    spelled = canonical(number)
    return number if number in lists else next((each for each in lists if canonical(each) == spelled), None)


def address_key(address: str) -> str:
    """Normalize an address: drop the channel prefix, lower the case, canonicalize a number."""
    bare = address.strip().casefold()
    prefix = _channel(bare)
    return canonical(bare[prefix.end() :] if prefix else bare)


def addresses_of(config: ListConfig) -> tuple[str, ...]:
    """Return all addresses that a list sends from."""
    return config.number, *config.numbers, *config.senders


def is_number(address: str) -> bool:
    """Whether an address is a phone number or a short code."""
    return address.startswith("+") or (address.isascii() and address.isdigit())


def threshold_of(lists: Mapping[str, ListConfig], list_number: str | None) -> int:
    """Return the number of consecutive failures that removes a contact from a list. `lists` are the account's, by
    number."""
    config = lists.get(list_number or "")
    return config.retry_threshold if config is not None else DEFAULT_THRESHOLD


def list_of(report: Receipt | InboundMessage | LinkClick, message: MessageSent | None, lists: Lists) -> Belonging:
    """Return the list that a report belongs to.

    It is the registered message's list; or else the list with the provider's list id in `provider_list_ids`; or else
    the list with the report's sender; or else, if the report names no sender, the account's only list. A reply to
    another list than its message's is not certain: the person may have meant either.
    """
    named = receivers_of(report) if message is None else (message.list_number,)
    if message is None:
        found, is_certain = _list_named(report, lists), True
    else:
        of_reply = _list_named(report, lists) if isinstance(report, InboundMessage) else None
        found = lists.at(message.list_number) or of_reply
        is_certain = of_reply in (None, found)
    if found is not None:
        return Belonging(found, found, is_certain)
    only = next(iter(lists.configs)) if len(lists.configs) == 1 else None
    if message is not None:
        return Belonging(message.list_number, only, False)
    if only is not None:
        return Belonging(only, only, not named)
    shown = next((each for each in named if each == _sender_of(report) and is_number(each)), None)
    return Belonging(shown, None, False)


def receivers_of(report: Receipt | InboundMessage | LinkClick) -> tuple[str, ...]:
    """Return how a report identifies our side: the provider's list id, and the address that a reply was sent to."""
    named = report.list_number if isinstance(report, InboundMessage) else None
    return tuple(each for each in (named, _sender_of(report)) if each)


def _list_named(report: Receipt | InboundMessage | LinkClick, lists: Lists) -> str | None:
    """Return the first known list that a report itself names, in the order of `receivers_of`, or None."""
    by_id = getattr(report, "list_number", None)
    for each in receivers_of(report):
        found = lists.named(report.provider, LIST_ID if each == by_id else ADDRESS, each)
        if found is not None:
            return found
    return None


def _sender_of(report: Receipt | InboundMessage | LinkClick) -> str | None:
    match report:
        case Receipt():
            return report.from_
        case InboundMessage():
            return report.to
        case LinkClick():
            return None


def _by_id(provider: str, named: str, lists: Lists) -> str | None:
    found = [number for number, each in lists.configs.items() if each.provider_list_ids.get(provider) == named]
    return found[0] if len(found) == 1 else None
