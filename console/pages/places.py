"""The console's menu, and which role sees each entry. Data; no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from console.principals import Role


@dataclass(frozen=True, slots=True)
class Place:
    """A page of an account. `path` follows `/accounts/{account}`."""

    path: str
    title: str
    group: str
    least: Role = Role.VIEWER


PLACES = (
    Place("", "Overview", "Now"),
    Place("/trends", "Trends", "Now"),
    Place("/deliveries", "Deliveries", "Messages"),
    Place("/replies", "Replies", "Messages"),
    Place("/contacts", "Contacts", "Messages"),
    Place("/evidence", "Evidence", "Messages"),
    Place("/held", "Held removals", "Problems"),
    Place("/rejected", "Rejected payloads", "Problems"),
    Place("/codes", "Codes", "Problems"),
    Place("/dead-letters", "Dead letters", "Problems"),
    Place("/attempts", "Attempts", "Problems"),
    Place("/replays", "Replays", "Problems"),
    Place("/webhooks", "Webhooks", "Settings"),
    Place("/lists", "Lists", "Settings"),
    Place("/receivers", "Receivers", "Settings"),
    Place("/sending-hours", "Sending hours", "Settings"),
    Place("/providers", "Providers", "Settings"),
    Place("/alerts", "Alerts", "Settings"),
    Place("/keys", "API keys", "Settings", Role.ADMIN),
    Place("/users", "Users", "Settings", Role.ADMIN),
    Place("/audit", "Audit", "Settings", Role.ADMIN),
)


def menu(role: Role) -> Iterator[tuple[str, list[Place]]]:
    """Return the groups of the menu with their entries, for a role."""
    groups: dict[str, list[Place]] = {}
    for place in PLACES:
        if role >= place.least:
            groups.setdefault(place.group, []).append(place)
    yield from groups.items()
