"""Event ids. The same work on the same input always produces the same id."""

from __future__ import annotations

import hashlib
import secrets
from itertools import product

from schemas.numbering import SECOND_LOOK, canonical, spellings

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_THREE = tuple(map("".join, product(_ALPHABET, repeat=3)))
_LAST = tuple(map("".join, product(_ALPHABET, repeat=2)))


def base_32(data: bytes) -> str:
    """Return the first 130 bits of at least 17 bytes in lower-case base 32 (RFC 4648): 26 characters.

    `base64.b32encode` takes four times as long, and several ids are made for every event.
    """
    bits = int.from_bytes(data[:17], "big") >> 6
    return (
        f"{_THREE[bits >> 115]}{_THREE[bits >> 100 & 32767]}{_THREE[bits >> 85 & 32767]}{_THREE[bits >> 70 & 32767]}"
        f"{_THREE[bits >> 55 & 32767]}{_THREE[bits >> 40 & 32767]}{_THREE[bits >> 25 & 32767]}"
        f"{_THREE[bits >> 10 & 32767]}{_LAST[bits & 1023]}"
    )


def derived_id(*parts: str | int) -> str:
    """Return an id that is a function of its parts: `evt_` and 26 characters of base 32 (130 bits of BLAKE2b)."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=17).digest()
    return "evt_" + base_32(digest)


def sent_event_id(account: str, provider: str, provider_message_id: str) -> str:
    """Return the id of a message's `sent` event: the same whether a report or the registration causes it."""
    return derived_id(account, provider, provider_message_id, "sent")


def callback_event_id(source_id: str, event: str) -> str:
    """Return the id of an event for a message's own callback URL (`sent`, `delivered`, or `undelivered`), by its
    cause."""
    return derived_id(source_id, "callback", event)


def random_id(prefix: str = "evt_") -> str:
    """Return a new ID for something that enters from outside and has no source record yet."""
    return prefix + base_32(secrets.token_bytes(17))


def recipient_key(account: str, number: str) -> bytes:
    """Return the key of everything about one recipient: `account:number`, with the number's canonical spelling."""
    # Runs for every event, so the test of `canonical` is inlined; North American numbers need nothing else.
    if number > "+2" and number[:5] in SECOND_LOOK:
        number = canonical(number)
    return f"{account}:{number}".encode()


def contact_key(account: str, list_number: str, number: str) -> str:
    """Return the name of a list's contact: `account:list_number:number`, with the number's canonical spelling."""
    # Inlined as above: this runs several times per record.
    if number > "+2" and number[:5] in SECOND_LOOK:
        number = canonical(number)
    return f"{account}:{list_number}:{number}"


def contact_names(account: str, list_number: str, number: str) -> tuple[str, ...]:
    """Return every name under which a contact may be recorded: by each spelling of its number, the canonical one
    first."""
    return tuple(f"{account}:{list_number}:{each}" for each in spellings(number))
