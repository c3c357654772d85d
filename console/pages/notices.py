"""Messages shown after a form. A link can only choose among these, so it cannot put words into a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Notice(NamedTuple):
    """A sentence at the top of a page, and its tone: good, warn, or bad."""

    tone: str
    text: str


NOTICES: Mapping[str, Notice] = {
    "password": Notice("good", "Password changed. Your other sessions have ended."),
    "muted": Notice("warn", "Alerts are muted. They are still listed here."),
    "deleted": Notice("good", "Deleted. Webhooks still waiting for it are dropped when their delay ends."),
    "paused": Notice("warn", "Paused. New webhooks wait in the delay topics."),
    "resumed": Notice("good", "Resumed. Waiting webhooks go out as their delays end."),
    "activated": Notice("good", "Only the new secret signs now."),
    "customers-out": Notice("good", "Links to this endpoint no longer work, and everyone who used one is signed out."),
    "stopped": Notice("warn", "The replay is stopping."),
    "retried": Notice("good", "Reprocessing. Check back in a moment to see whether any were rejected again."),
    "gone": Notice("warn", "Some could not be reprocessed: they have expired from Kafka, or are not raw callbacks."),
    "revoked": Notice("warn", "Revoked. It stops working within about a second."),
    "saved": Notice("good", "Saved. It takes effect within about a second."),
    "ordered": Notice("good", "Requested. The state below changes within seconds; reload the page to see it."),
    "unchanged": Notice("warn", "Requested, but as far as the console knows the contact is already in that state."),
    "confirmed": Notice("good", "The contacts are being removed; reload the page to see progress."),
    "released": Notice("good", "The contacts are being released; reload the page to see progress."),
    "erasing": Notice("good", "Erasure requested. Kafka may keep the number in older records until they expire."),
}
