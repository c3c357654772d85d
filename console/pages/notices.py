"""What a page says after a form. A link can choose only among these, so it cannot put words into the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Notice(NamedTuple):
    """A sentence at the head of a page, and its tone: good, warn or bad."""

    tone: str
    text: str


NOTICES: Mapping[str, Notice] = {
    "password": Notice("good", "The password is changed; your other sessions have ended."),
    "muted": Notice("warn", "Alerts are muted. They are listed here all the same."),
    "deleted": Notice("good", "Deleted. What waits for it is dropped when its delay is over."),
    "paused": Notice("warn", "Paused. What comes meanwhile waits in the delay topics."),
    "resumed": Notice("good", "Resumed. What waits goes out as its delays end."),
    "activated": Notice("good", "The new secret signs alone now."),
    "customers-out": Notice("good", "No link to this endpoint opens anything any more, and who has opened one is out."),
    "stopped": Notice("warn", "The replay is told to stop."),
    "retried": Notice("good", "They are processed again; look here in a moment whether they are rejected again."),
    "gone": Notice("warn", "Some are gone from Kafka, or were no raw callbacks: they are not processed again."),
    "revoked": Notice("warn", "Revoked. It opens nothing within about a second."),
    "saved": Notice("good", "Saved. It holds within about a second."),
    "ordered": Notice("good", "Ordered. The state below changes within seconds; load the page again to see it."),
    "unchanged": Notice("warn", "Ordered, but it changes nothing: the contact is already so, as far as is known here."),
    "confirmed": Notice("good", "They are removed, bit by bit; load the page again to see how far it is."),
    "released": Notice("good", "They are released, bit by bit; load the page again to see how far it is."),
    "erasing": Notice("good", "The erasure is ordered. Kafka may hold the number in older records until they expire."),
}
