"""To which list of an account a report belongs. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.records import InboundMessage, LinkClick, ListConfig, MessageSent, Receipt

DEFAULT_THRESHOLD = 3
"""Failed messages in a row that remove a contact from a list that has no setting of its own."""


def threshold_of(lists: Mapping[str, ListConfig], list_number: str | None) -> int:
    """Failed messages in a row that remove a contact from a list. `lists` are the account's, by number."""
    config = lists.get(list_number or "")
    return config.retry_threshold if config is not None else DEFAULT_THRESHOLD


def list_of(
    report: Receipt | InboundMessage | LinkClick, message: MessageSent | None, lists: Mapping[str, ListConfig]
) -> str | None:
    """List that a report belongs to, or None where none is known. `lists` are the account's, by number.

    The registered message's list; else the report's own sender, where it is one of the lists or a number;
    else the account's only list. A list that a provider names by its own id is found by
    `provider_list_ids`; an id that stands nowhere there says nothing, though it may look like a short code.
    """
    if message is not None:
        return message.list_number
    for sender in _senders(report, lists):
        if sender in lists or sender.startswith("+") or (sender.isascii() and sender.isdigit()):
            return sender
    return next(iter(lists)) if len(lists) == 1 else None


def _senders(report: Receipt | InboundMessage | LinkClick, lists: Mapping[str, ListConfig]) -> list[str]:
    if isinstance(report, LinkClick):
        return []
    if isinstance(report, Receipt):
        return [report.from_] if report.from_ else []
    named = report.list_number
    if named and named not in lists:
        ids = {config.provider_list_ids.get(report.provider): number for number, config in lists.items()}
        named = ids.get(named)
    return [sender for sender in (named, report.to) if sender]
