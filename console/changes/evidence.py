"""Exports of evidence: recorded, read, signed."""

from __future__ import annotations

from typing import Any

from bus.clock import now_ms
from console.changes.acts import Act
from console.errors import ApiError, not_found
from console.http.fields import number as to_e164
from console.queries.evidence import evidence_of
from operations.evidence import signed
from schemas.masking import masked


async def exported(act: Act, account: str, text: str) -> dict[str, Any]:
    """Return the signed evidence about a number in any notation. The audit log records who took it.

    Raises ApiError: 404 if it is not a number, 409 without a key, 503.
    """
    try:
        number = to_e164(text)
    except ValueError:
        raise not_found("This is not a valid phone number; write it as +18005551234.") from None
    key = act.parts.settings.evidence_key
    if key is None:
        raise ApiError(
            409,
            "not_configured",
            "Evidence cannot be signed.",
            "TRACKLY_EVIDENCE_KEY is not set: create a key with `trackly secrets new-evidence-key`.",
        )
    pseudonyms = act.parts.settings.pseudonyms
    aliases = () if pseudonyms is None else tuple(pseudonyms.every(account, number))
    lists = list(act.parts.accounts.lists_of(account))
    found = await act.parts.reads(evidence_of, account, number, lists, aliases, act.principal.actor, now_ms())
    # If nothing is kept about a number, perhaps because it was erased, nothing new is kept either.
    about = number if found["steps"] else masked(number)
    await act.audit("contact.evidence", about, accounts=[account], steps=len(found["steps"]))
    return signed(found, key.get_secret_value())
