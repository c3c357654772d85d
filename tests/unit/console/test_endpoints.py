"""The list of endpoints, by the API and on its page."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from bus.clock import now_ms
from console.principals import Role
from console.queries.endpoints import endpoints
from console.queries.statistics import HOUR
from database.tables import hourly_attempts
from schemas.records import EndpointConfig
from tests.unit.console.console_parts import Api

NOW = 1_795_000_000_000


def endpoint(**changes: Any) -> EndpointConfig:
    settings = {
        "account": "acme",
        "id": "crm",
        "url": "https://crm.example.com/trackly?token=t0p-s3cret",
        "secret": "whsec_t0ps3cret",
        "events": ("delivery", "reply"),
    }
    return EndpointConfig(**settings | changes)


def counted(hours_ago: int, outcome: str, count: int, **changes: Any) -> dict[str, Any]:
    hour = NOW // HOUR * HOUR - hours_ago * HOUR
    row = {"account": "acme", "hour": hour, "endpoint": "crm", "outcome": outcome, "count": count}
    return {**row, "latency_ms_sum": 0, **changes}


@pytest.fixture
def api() -> Api:
    return Api()


async def listed(api: Api) -> list[dict[str, Any]]:
    return list((await api.get("/api/endpoints")).json()["data"])


async def test_endpoints_are_listed_by_their_ids(api: Api) -> None:
    for name in ("shop", "crm"):
        api.accounts.put(endpoint(id=name))
    assert [row["id"] for row in await listed(api)] == ["crm", "shop"]


async def test_another_account_s_endpoints_are_never_listed(api: Api) -> None:
    api.accounts.put(endpoint(account="other"))
    api.accounts.drop("config_endpoints", "acme/crm")
    assert await listed(api) == []
    api.sign_in(Role.ADMIN)
    assert "crm.example.com" not in (await api.page("/webhooks")).text


async def test_no_secret_of_an_endpoint_reaches_an_answer_or_a_page(api: Api) -> None:
    secrets = {"secret_next": "whsec_n3xts3cret", "secret_next_at": now_ms() + HOUR}
    api.accounts.put(endpoint(headers={"Authorization": "h3ader-s3cret"}, **secrets))
    api.sign_in(Role.ADMIN)
    for text in ((await api.get("/api/endpoints")).text, (await api.page("/webhooks")).text):
        assert "crm.example.com" in text
        assert "s3cret" not in text


async def test_a_reference_to_a_secret_is_shown_as_it_is(api: Api) -> None:
    api.accounts.put(endpoint(secret="env:CRM_SECRET"))
    (row,) = await listed(api)
    assert row["secret"] == "env:CRM_SECRET"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "active"),
        ({"enabled": False}, "Disabled in its settings: webhooks wait."),
        ({"enabled": False, "paused_reason": "failing", "paused_at": NOW}, "wait in the delay topics"),
    ],
)
async def test_the_page_says_an_endpoint_s_state_in_words(api: Api, changes: dict[str, Any], words: str) -> None:
    api.accounts.put(endpoint(**changes))
    api.sign_in(Role.VIEWER)
    assert words in (await api.page("/webhooks")).text


async def test_the_page_escapes_what_a_customer_wrote(api: Api) -> None:
    api.accounts.put(endpoint(description="<script>alert(1)</script>"))
    api.sign_in(Role.ADMIN)
    assert "&lt;script&gt;alert(1)" in (await api.page("/webhooks")).text


async def test_a_page_without_endpoints_says_how_to_add_one(api: Api) -> None:
    api.accounts.drop("config_endpoints", "acme/crm")
    api.sign_in(Role.ADMIN)
    assert "Create the first one" in (await api.page("/webhooks")).text


def test_attempts_of_the_last_24_hours_are_counted_from_the_hourly_table(database: Engine) -> None:
    rows = [
        counted(0, "2xx", 5),
        counted(23, "2xx", 2),
        counted(23, "timeout", 1),
        counted(24, "2xx", 100),
        counted(0, "2xx", 100, endpoint="shop"),
        counted(0, "2xx", 100, account="other"),
    ]
    with database.begin() as connection:
        connection.execute(hourly_attempts.insert(), rows)
        (found,) = endpoints(connection, "acme", [endpoint()], NOW)
    assert (found.attempts_24h, found.taken_24h) == (8, 7)


async def test_an_account_makes_no_more_endpoints_than_it_may_have() -> None:
    api = Api(max_endpoints=1)
    refused = await api.post("/api/endpoints", json={"id": "shop", "url": "https://shop.example.com/"})
    assert refused.status_code == 422
    assert refused.json()["message"].startswith("id: account acme would have more than 1 endpoints")
    changed = await api.request("PUT", "/api/endpoints/crm", json={"url": "https://shop.example.com/"})
    assert changed.status_code == 200
