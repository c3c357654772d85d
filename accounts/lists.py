"""To which list of an account a report belongs. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.records import InboundMessage, ListConfig, MessageSent, Receipt


def list_of(
    report: Receipt | InboundMessage, message: MessageSent | None, lists: Mapping[str, ListConfig]
) -> str | None:
    """List that a report belongs to, or None where none is known. `lists` are the account's, by number.

    The registered message's list; else the report's own sender, where it is one of the lists or a number;
    else the account's only list. A list that a provider names by its own id is found by `provider_list_ids`.
    """
    if message is not None:
        return message.list_number
    for sender in _senders(report, lists):
        if sender in lists or sender.startswith("+") or (sender.isascii() and sender.isdigit()):
            return sender
    return next(iter(lists)) if len(lists) == 1 else None


def _senders(report: Receipt | InboundMessage, lists: Mapping[str, ListConfig]) -> list[str]:
    if isinstance(report, Receipt):
        return [report.from_] if report.from_ else []
    named = report.list_number
    for config in lists.values():
        if named and config.provider_list_ids.get(report.provider) == named:
            named = config.number
            break
    return [sender for sender in (named, report.to) if sender]
