"""The state of one message: how far it has come, and which report replaces which."""

from __future__ import annotations

import re
from collections.abc import Mapping

from schemas.records import MessageSent, Receipt
from streams.row import MessageState

FINAL = 3
_RANKS: Mapping[tuple[str, str | None], int] = {("pending", None): 0, ("pending", "SENT"): 1}
_OTHER_RANK = 2

SENT_REPORTS = frozenset(
    {
        ("twilio", "SENDING"),
        ("twilio", "SENT"),
        ("infobip", "PENDING_WAITING_DELIVERY"),
        ("infobip", "PENDING_ENROUTE"),
        ("cm", "ACCEPTED"),
    }
)
"""Provider and status detail of the reports that say: the message goes, or went, to the carrier."""

_REFERENCE = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")


def message_name(provider: str, provider_message_id: str) -> str:
    """What a message is called in the row of its contact, whatever is registered about it."""
    return f"{provider}:{provider_message_id}"


def public_message_id(receipt: Receipt, message: MessageSent | None) -> str:
    """The id under which a message goes out: the sender's own, else the provider's.

    The sender's own is the registered one, else the reference that the report carries, if it is one word of at most
    128 letters, digits or `_.:/-`. What else stands there (JSON, free text) is no id and stays in the receipt.
    """
    if message is not None:
        return message.message_id
    reference = receipt.sender_reference
    if reference is not None and _REFERENCE.fullmatch(reference):
        return reference
    return receipt.provider_message_id


def rank(status: str, detail: str, final: bool) -> int:
    """How far a message has come: 0 pending, 1 sent, 2 not final but beyond pending, 3 final."""
    if final:
        return FINAL
    return _RANKS.get((status, detail), _RANKS.get((status, None), _OTHER_RANK))


def state_of(receipt: Receipt, name: str, at: int, sent: bool) -> MessageState:
    """The state that a receipt reports. `name` is the message's."""
    return MessageState(
        name,
        receipt.status,
        receipt.status_detail,
        receipt.status_class,
        rank(receipt.status, receipt.status_detail, receipt.final),
        receipt.occurred_at,
        at,
        sent,
    )


def supersedes(new: MessageState, old: MessageState) -> bool:
    """Whether a report replaces what is known of its message.

    The same status at a later time does too, without an event: which report is the newest must not hang on
    the order of arrival.
    """
    if new.rank != old.rank:
        return new.rank > old.rank
    if new.rank == FINAL:
        known = new.occurred_at is not None and old.occurred_at is not None
        return known and new.at > old.at
    return new.at > old.at or (new.at == old.at and not says_the_same(new, old))


def says_the_same(new: MessageState, old: MessageState) -> bool:
    """Whether two states look alike in public."""
    return new.status == old.status and new.detail == old.detail
