"""The console's menu, and which role sees each entry. Data; no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from console.principals import Role


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """A page of an account. `path` follows `/accounts/{account}`."""

    path: str
    title: str
    group: str
    least: Role = Role.VIEWER


PLACES = (
    MenuEntry("", "Overview", "Now"),
    MenuEntry("/trends", "Trends", "Now"),
    MenuEntry("/deliveries", "Deliveries", "Messages"),
    MenuEntry("/replies", "Replies", "Messages"),
    MenuEntry("/contacts", "Contacts", "Messages"),
    MenuEntry("/evidence", "Evidence", "Messages"),
    MenuEntry("/held", "Held removals", "Problems"),
    MenuEntry("/rejected", "Rejected payloads", "Problems"),
    MenuEntry("/codes", "Codes", "Problems"),
    MenuEntry("/dead-letters", "Dead letters", "Problems"),
    MenuEntry("/attempts", "Attempts", "Problems"),
    MenuEntry("/replays", "Replays", "Problems"),
    MenuEntry("/webhooks", "Webhooks", "Settings"),
    MenuEntry("/lists", "Lists", "Settings"),
    MenuEntry("/receivers", "Receivers", "Settings"),
    MenuEntry("/sending-hours", "Sending hours", "Settings"),
    MenuEntry("/providers", "Providers", "Settings"),
    MenuEntry("/alerts", "Alerts", "Settings"),
    MenuEntry("/keys", "API keys", "Settings", Role.ADMIN),
    MenuEntry("/users", "Users", "Settings", Role.ADMIN),
    MenuEntry("/audit", "Audit", "Settings", Role.ADMIN),
)


def menu(role: Role) -> Iterator[tuple[str, list[MenuEntry]]]:
    """Return the groups of the menu with their entries, for a role."""
    groups: dict[str, list[MenuEntry]] = {}
    for place in PLACES:
        if role >= place.least:
            groups.setdefault(place.group, []).append(place)
    yield from groups.items()
