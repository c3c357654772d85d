from __future__ import annotations

import json
from ipaddress import ip_network

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from operations.trials import TEST_PREFIX, send_trial, trial_event
from outbound.bodies import SHAPES, body_of, event_name
from outbound.settings import OutboundSettings
from schemas.records import EndpointConfig

CLOUDEVENT = {
    "specversion": "1.0",
    "source": "/trackly",
    "type": "trackly.delivery",
    "time": "2024-01-15T10:30:00.000Z",
    "datacontenttype": "application/json",
}


@pytest.mark.parametrize("event", [shape.event for shape in SHAPES.values()])
def test_every_kind_of_event_can_be_tried(event: str) -> None:
    record = trial_event(event, "acme", 1_705_314_600_000)
    assert record.event_id.startswith(TEST_PREFIX)
    assert record.account == "acme"
    assert event_name(record) == event
    assert body_of(record).endswith(b'"timestamp":"2024-01-15T10:30:00.000Z"}')


@pytest.mark.parametrize(
    ("layout", "batch", "content_type"),
    [
        ("json", 1, "application/json"),
        ("json", 10, "application/json"),
        ("cloudevents", 1, "application/cloudevents+json"),
        ("cloudevents", 10, "application/cloudevents-batch+json"),
    ],
)
async def test_a_test_looks_as_the_endpoint_s_webhooks_do(layout: str, batch: int, content_type: str) -> None:
    got: list[tuple[str | None, object]] = []

    async def take(request: web.Request) -> web.Response:
        got.append((request.headers.get("Content-Type"), json.loads(await request.read())))
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/", take)
    event = trial_event("delivery", "acme", 1_705_314_600_000)
    async with TestServer(application, host="127.0.0.1") as server:
        config = EndpointConfig(
            account="acme",
            id="crm",
            url=str(server.make_url("/")),
            secret="x" * 16,
            events=("delivery",),
            format=layout,
            batch_events=batch,
        )
        settings = OutboundSettings(allow_subnets=(ip_network("127.0.0.0/8"),))
        trial = await send_trial(config, event, settings, allow_http=True)
    assert trial.outcome.ok
    [(kind, body)] = got
    assert kind == content_type
    one = json.loads(body_of(event))
    whole = one if layout == "json" else {**CLOUDEVENT, "id": event.event_id, "data": one}
    assert body == ([whole] if batch > 1 else whole)
