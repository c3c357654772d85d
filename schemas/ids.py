"""Event ids. The same work on the same input always produces the same id."""

from __future__ import annotations

import base64
import hashlib
import secrets

from schemas.numbering import SECOND_LOOK, canonical, spellings


def derived_id(*parts: str | int) -> str:
    """Return an id that is a function of its parts: `evt_` and 26 characters of base 32 (130 bits of BLAKE2b)."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=17).digest()
    return "evt_" + base64.b32encode(digest).decode("ascii")[:26].lower()


def sent_event_id(account: str, provider: str, provider_message_id: str) -> str:
    """Return the id of a message's `sent` event: the same whether a report or the registration causes it."""
    return derived_id(account, provider, provider_message_id, "sent")


def callback_event_id(source_id: str, event: str) -> str:
    """Return the id of an event for a message's own callback URL (`sent`, `delivered`, or `undelivered`), by its
    cause."""
    return derived_id(source_id, "callback", event)


def random_id(prefix: str = "evt_") -> str:
    """Return a new id for something that enters from outside and has no source record yet."""
    return prefix + base64.b32encode(secrets.token_bytes(17)).decode("ascii")[:26].lower()


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
