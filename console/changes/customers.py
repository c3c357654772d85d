"""Links that open an endpoint to its customer: creation and revocation."""

from __future__ import annotations

from dataclasses import dataclass, field

from bus.clock import now_ms
from console.changes.acts import Act
from console.errors import validation_failed
from console.queries.rows import At
from console.signin.customers import HOUR_MS, MOST_LINK_HOURS, new_link, path_of, revoke
from schemas.records import EndpointConfig


@dataclass(frozen=True, slots=True)
class CustomerLink:
    """A new link. `url` is shown only once, and opens once."""

    id: str
    url: str = field(repr=False)
    expires_at: At


async def make_link(act: Act, endpoint: EndpointConfig, hours: int) -> CustomerLink:
    """Create a link that opens an endpoint to its customer. Raises ApiError: 422, 503."""
    if not 1 <= hours <= MOST_LINK_HOURS:
        raise validation_failed([f"valid_hours: must be between 1 and {MOST_LINK_HOURS}"])
    now = now_ms()
    told = f"endpoint {endpoint.id}"
    async with act.audited("customer.link", told, accounts=[endpoint.account], valid_hours=hours):
        link, token = await act.parts.writes(new_link, endpoint.account, endpoint.id, now, hours)
    return CustomerLink(link.id, act.parts.settings.address + path_of(token), now + hours * HOUR_MS)


async def end_links(act: Act, endpoint: EndpointConfig) -> int:
    """Revoke all of an endpoint's links, and sign out their users. Returns how many there were."""
    told = f"endpoint {endpoint.id}"
    async with act.audited("customer.end", told, accounts=[endpoint.account]):
        return await act.parts.writes(revoke, endpoint.account, endpoint.id)
