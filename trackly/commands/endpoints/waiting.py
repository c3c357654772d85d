"""Counts waiting webhooks: in the delay topics, and parked."""

from __future__ import annotations

from bus.admin import Admin
from bus.reading.topic import Start
from bus.settings import BusSettings
from sinks.webhooks.delay_tiers import group_of
from trackly.reading import open_topic


async def count_waiting(endpoint: str) -> int:
    """Return how many webhooks wait for an endpoint, `account/endpoint`, and have not been released by a delay tier."""
    settings = BusSettings()
    with Admin(settings) as admin:
        found = (settings.catalogue.delay_tier_named(name) for name in admin.list_topics())
        tiers = [settings.catalogue["webhooks_parked"], *(tier for tier in found if tier is not None)]
        committed = {tier.name: admin.group_offsets(group_of(tier, settings)) for tier in tiers}
    key = endpoint.encode()
    waiting = 0
    for tier in tiers:
        offsets = {partition: offset for (_, partition), offset in committed[tier.name].items()}
        async with open_topic(settings, tier.name, Start(offsets=offsets)) as topic:
            async for record in topic.rest():
                waiting += record.key == key
    return waiting
