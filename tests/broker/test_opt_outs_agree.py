"""An opt-out by each channel, on real services: check, console, export, and webhooks agree about the person."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
import pytest

from accounts.model import Config
from schemas.records import AccountConfig, EndpointConfig, ListConfig
from tests.cluster import Cluster, running
from tests.http_servers import served
from tests.patience import PATIENCE

pytestmark = [pytest.mark.broker]

SHOP, NEWS = "+18005550001", "+18005550002"
POOL = "+18885550177"
"""A toll-free number that stands under no list."""

BY_RCS, BY_WHATSAPP, BY_POOL = "+15550100001", "+15550100002", "+15550100003"
USER = "US.13491208655302741918"
"""By which WhatsApp knows the second one."""

OUT = {BY_RCS: {SHOP}, BY_WHATSAPP: {NEWS}, USER: {NEWS}, BY_POOL: {SHOP, NEWS}}
"""The lists that each may not be texted from."""


@dataclass
class Webhooks:
    """Receives webhooks and keeps their content."""

    bodies: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(orjson.loads(body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def opted_out(self) -> dict[str, set[str]]:
        """Return the numbers that opted out according to webhooks, with the lists."""
        found: dict[str, set[str]] = {}
        for body in self.bodies:
            assert body["event"] == "unsubscribe"
            found.setdefault(body["phone_number"], set()).add(body["list_number"])
        return found


@dataclass
class House:
    """The services, their webhooks, an API key, and a signed-in user."""

    cluster: Cluster
    webhooks: Webhooks
    key: str
    pages: httpx.Client

    def post(self, *results: dict[str, Any]) -> None:
        url = f"http://127.0.0.1:{self.cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
        assert httpx.post(url, json={"results": results}).status_code == 200

    def out(self, *numbers: str) -> dict[str, set[str]]:
        """Return the lists from which each number must not be texted, according to the API."""
        found: dict[str, set[str]] = {}
        for listed in (SHOP, NEWS):
            answer = httpx.post(
                self.cluster.console("console-1") + "/api/contacts/check",
                json={"list_number": listed, "numbers": numbers},
                headers={"X-Api-Key": self.key},
                timeout=PATIENCE,
            )
            for each in answer.json().get("contacts", ()):
                if not each["may_be_texted"]:
                    found.setdefault(each["number"], set()).add(listed)
        return found


@pytest.fixture(scope="module")
def house(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    webhooks = Webhooks()
    with ExitStack() as stack:
        url = stack.enter_context(served(webhooks))
        configs: list[Config] = [
            AccountConfig(id="acme", name="Acme"),
            ListConfig(account="acme", number=SHOP, senders=("acme_agent",)),
            ListConfig(account="acme", number=NEWS),
            EndpointConfig(
                account="acme", id="crm", url=url, secret="whsec_cHJlc2VudA==", events=("unsubscribe", "removed")
            ),
        ]
        services = ("ingest", "streams-1", "sinks-1", "console-1", "read-model")
        directory = tmp_path_factory.mktemp("agree")
        cluster = stack.enter_context(running(broker, directory, "agr", configs, *services))
        pages = stack.enter_context(httpx.Client(base_url=cluster.console("console-1"), timeout=PATIENCE))
        pages.headers["sec-fetch-site"] = "same-origin"
        added = cluster.trackly("users", "add", "ann@example.com", "--role", "support", "--account", "acme")
        welcome = urlsplit(added.stdout.split()[0]).path
        assert pages.post(welcome, data={"password": "a sentence is a good password"}).status_code == 303
        yield House(cluster, webhooks, asyncio.run(cluster.make_key("acme")), pages)


def reply(message_id: str, sender: str, to: str, text: str, channel: str, **others: Any) -> dict[str, Any]:
    return {
        "messageId": message_id,
        "sender": sender,
        "destination": to,
        "event": "MO",
        "channel": channel,
        "content": [{"type": "TEXT", "text": text}],
        **others,
    }


def test_after_an_opt_out_by_each_channel_everything_says_the_same(house: House) -> None:
    house.post(
        reply("rcs", BY_RCS, "acme_agent", "STOP", "RCS"),
        reply("wa-1", USER, NEWS, "STOP", "WHATSAPP"),
        reply("pool", BY_POOL, POOL, "stop", "SMS"),
    )
    # Only now is it known whose the id is.
    house.post(reply("wa-2", BY_WHATSAPP, NEWS, "thanks", "WHATSAPP", contact={"userId": USER}))
    deadline = time.monotonic() + PATIENCE
    while (said := house.out(*OUT)) != OUT or len(house.webhooks.bodies) < 5:
        assert time.monotonic() < deadline, (said, house.webhooks.bodies)
        time.sleep(0.2)
    # The id opted out before its number was known.
    assert house.webhooks.opted_out() == OUT

    exported = house.cluster.trackly("contacts", "export", "--account", "acme", "--removed")
    rows = list(csv.DictReader(io.StringIO(exported.stdout)))
    for number in (BY_RCS, BY_WHATSAPP, BY_POOL):
        lists = {row["list_number"] for row in rows if row["number"] == number}
        assert lists - {"all"} == OUT[number]
        assert ("all" in lists) == (number == BY_POOL)

    for number, lists in OUT.items():
        shown = house.pages.get(f"/accounts/acme/contacts/{number}")
        assert shown.status_code == 200, shown.text
        assert shown.text.count('<span class="badge bad">removed</span>') >= len(lists), shown.text

    # Of the four receivers, only the pool number belongs to no list.
    while not (found := _receivers(house)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [(each["receiver"], each["replies"], each["setting"]) for each in found] == [
        (POOL, 1, f'numbers = ["{POOL}"]')
    ]


def _receivers(house: House) -> list[dict[str, Any]]:
    answer = house.pages.get("/api/receivers", params={"account": "acme"}, headers={"X-Api-Key": house.key})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found
