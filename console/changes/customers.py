"""Links by which a customer opens its endpoint: made, and ended."""

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
    """A link that was made. `url` is shown this once, and opens once."""

    id: str
    url: str = field(repr=False)
    expires_at: At


async def make_link(act: Act, endpoint: EndpointConfig, hours: int) -> CustomerLink:
    """A link that opens an endpoint to its customer. Raises ApiError: 422, 503."""
    if not 1 <= hours <= MOST_LINK_HOURS:
        raise validation_failed([f"valid_hours: is not within 1 and {MOST_LINK_HOURS}"])
    now = now_ms()
    told = f"endpoint {endpoint.id}"
    async with act.audited("customer.link", told, accounts=[endpoint.account], valid_hours=hours):
        link, token = await act.parts.writes(new_link, endpoint.account, endpoint.id, now, hours)
    return CustomerLink(link.id, act.parts.settings.address + path_of(token), now + hours * HOUR_MS)


async def end_links(act: Act, endpoint: EndpointConfig) -> int:
    """No link opens the endpoint any more, and whoever has opened one is out. Gives how many there were."""
    told = f"endpoint {endpoint.id}"
    async with act.audited("customer.end", told, accounts=[endpoint.account]):
        return await act.parts.writes(revoke, endpoint.account, endpoint.id)
