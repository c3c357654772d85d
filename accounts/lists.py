"""To which list of an account a report belongs, and whether that is known for certain. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from schemas.numbering import canonical
from schemas.records import InboundMessage, LinkClick, ListConfig, MessageSent, Receipt

DEFAULT_THRESHOLD = 3
"""Failed messages in a row that remove a contact from a list that has no setting of its own."""

ADDRESS, LIST_ID = "address", "list_id"
"""How a report names our side: by what it was sent from or to, or by the provider's own id of a list."""

# What providers put before an address to say by which channel it is reached, as in rcs:acme_agent.
_channel = re.compile(r"(?:(?:rcs|whatsapp|messenger|viber|sms):\s*)+").match


class Belonging(NamedTuple):
    """Where a report belongs. `name` is what its events call the list, `list_number` the list of the account that it
    is counted for, or None. `is_certain`: nothing speaks against it.

    Where the account has one list, a report of a sender that nobody has configured is counted for that one, without
    certainty. Where it has several, the events name the sender, and no list is counted.
    """

    name: str | None
    list_number: str | None
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists of an account by number, and by every address that belongs to one: its number, `numbers`, `senders`.

    An address of two lists is that of none.
    """

    configs: Mapping[str, ListConfig]
    by_address: Mapping[str, str | None]

    @classmethod
    def of(cls, configs: Mapping[str, ListConfig]) -> Lists:
        """The lists of these settings."""
        found: dict[str, str | None] = {}
        for number, config in configs.items():
            for address in dict.fromkeys(map(address_key, addresses_of(config))):
                found[address] = None if address in found else number
        return cls(configs, found)

    def at(self, address: str) -> str | None:
        """Number of the list that an address belongs to, or None."""
        return address if address in self.configs else self.by_address.get(address_key(address))

    def named(self, provider: str, kind: str, receiver: str) -> str | None:
        """Number of the list that a receiver belongs to, or None: an address, or a provider's id of a list."""
        found = self.at(receiver)
        return _by_id(provider, receiver, self) if found is None and kind == LIST_ID else found


def list_in(lists: Collection[str], number: str) -> str | None:
    """The list of this number among an account's, in whichever spelling either is written; None where there is none."""
    spelled = canonical(number)
    return number if number in lists else next((each for each in lists if canonical(each) == spelled), None)


def address_key(address: str) -> str:
    """What two spellings of one address have in common: without the channel's name, in small letters, a number in its
    canonical form."""
    bare = address.strip().casefold()
    prefix = _channel(bare)
    return canonical(bare[prefix.end() :] if prefix else bare)


def addresses_of(config: ListConfig) -> tuple[str, ...]:
    """Everything that a list sends from."""
    return config.number, *config.numbers, *config.senders


def is_number(address: str) -> bool:
    """Whether an address is a phone number or a short code."""
    return address.startswith("+") or (address.isascii() and address.isdigit())


def threshold_of(lists: Mapping[str, ListConfig], list_number: str | None) -> int:
    """Failed messages in a row that remove a contact from a list. `lists` are the account's, by number."""
    config = lists.get(list_number or "")
    return config.retry_threshold if config is not None else DEFAULT_THRESHOLD


def list_of(report: Receipt | InboundMessage | LinkClick, message: MessageSent | None, lists: Lists) -> Belonging:
    """The list that a report belongs to.

    The registered message's list; else the list that the provider names by an id of `provider_list_ids`; else the one
    to which the report's own sender belongs; else, where the report names none, the account's only list.
    """
    named = receivers_of(report) if message is None else (message.list_number,)
    for address in named:
        is_named_list = message is None and address == getattr(report, "list_number", None)
        found = lists.named(report.provider, LIST_ID if is_named_list else ADDRESS, address)
        if found is not None:
            return Belonging(found, found, True)
    only = next(iter(lists.configs)) if len(lists.configs) == 1 else None
    if message is not None:
        return Belonging(message.list_number, only, False)
    if only is not None:
        return Belonging(only, only, not named)
    shown = next((each for each in named if each == _sender_of(report) and is_number(each)), None)
    return Belonging(shown, None, False)


def receivers_of(report: Receipt | InboundMessage | LinkClick) -> tuple[str, ...]:
    """What a report names of our side: the list by an id of the provider's, the sender that a reply went to."""
    named = report.list_number if isinstance(report, InboundMessage) else None
    return tuple(each for each in (named, _sender_of(report)) if each)


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
