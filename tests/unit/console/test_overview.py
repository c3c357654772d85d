"""The overview, what it says needs attention, and the API's statistics."""

from __future__ import annotations

from typing import Any

import pytest

from bus.clock import now_ms
from console.pages.attention import AccountHealth, attention
from console.principals import Role
from console.queries.statistics import HOUR, MANY, MINUTE, Webhooks
from database.tables import freshness, hourly_attempts, hourly_events, hourly_messages, minutely_events
from schemas.records import EndpointConfig
from tests.unit.console.console_parts import Api, refusal

NOW = now_ms()
THIS_HOUR = NOW - NOW % HOUR
QUIET: dict[str, Any] = {
    "endpoints": [],
    "webhooks": [],
    "dead": 0,
    "rejected": 0,
    "held": 0,
    "behind_seconds": 1.0,
    "now": NOW,
}


def endpoint(**changes: Any) -> EndpointConfig:
    settings = {"account": "acme", "id": "crm", "url": "https://a.example", "secret": "s", "events": ("delivery",)}
    return EndpointConfig(**settings | changes)


def counted(event: str = "delivery", count: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "account": "acme",
        "hour": THIS_HOUR,
        "event": event,
        "provider": "infobip",
        "list_number": "+18005551234",
        "status": "delivered" if event == "delivery" else "",
        "detail": "",
        "count": count,
        **changes,
    }


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.mark.parametrize(
    ("changes", "symptom", "path"),
    [
        ({"endpoints": [endpoint(paused_at=1, paused_reason="failing")]}, "Endpoint crm is paused", "/webhooks/crm"),
        (
            {"endpoints": [endpoint(secret_next="n", secret_next_at=NOW + HOUR)]},
            "The old secret of crm stops signing",
            "/webhooks/crm",
        ),
        (
            {"endpoints": [endpoint()], "webhooks": [Webhooks("crm", 20, 10)]},
            "10 of 20 attempts at crm failed",
            "/webhooks/crm",
        ),
        ({"dead": 3}, "3 webhooks became dead letters", "/dead-letters"),
        ({"dead": MANY + 1}, "More than 10,000 webhooks became dead letters", "/dead-letters"),
        ({"held": 1_200}, "1,200 removals are held", "/held"),
        ({"lost_opt_outs": "all"}, "Opt-outs may be among records that Kafka deleted unread: no contact may", ""),
        (
            {"lost_opt_outs": "some"},
            "Opt-outs may be among records that Kafka deleted unread: some contacts must not",
            "",
        ),
        ({"rejected": 1}, "1 payload could not be processed", "/rejected"),
        ({"rejected_opt_outs": 2}, "2 payloads that may be opt-outs could not", "/rejected?may_opt_out=true"),
        ({"behind_seconds": None}, "The read model is not being updated", ""),
        ({"behind_seconds": 600.0}, "These pages are 10 min behind", ""),
    ],
)
def test_a_symptom_is_told_with_the_place_of_its_next_step(changes: dict[str, Any], symptom: str, path: str) -> None:
    (found,) = attention(AccountHealth(**QUIET | changes))
    assert found.symptom.startswith(symptom)
    assert found.path == path


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"endpoints": [endpoint()], "webhooks": [Webhooks("crm", 9, 0)]},  # too few to tell
        {"endpoints": [endpoint()], "webhooks": [Webhooks("crm", 100, 51)]},
        {"webhooks": [Webhooks("gone", 100, 0)]},  # an endpoint that no longer exists
        {"endpoints": [endpoint(secret_next="n", secret_next_at=NOW + 48 * HOUR)]},
        {"behind_seconds": 59.0},
    ],
)
def test_what_is_well_is_not_told(changes: dict[str, Any]) -> None:
    assert attention(AccountHealth(**QUIET | changes)) == []


async def test_the_overview_counts_and_says_why_messages_fail(api: Api) -> None:
    found = counted(count=1_990), counted(count=10, status="undeliverable", detail="REJECTED_OPERATOR")
    others = counted(count=99, account="other"), counted(count=1, hour=THIS_HOUR - 48 * HOUR)
    api.put(hourly_events, *found, counted("reply", 7), *others)
    api.put(hourly_messages, *({name: row[name] for name in row if name != "event"} for row in (*found, *others)))
    api.put(
        hourly_attempts,
        {"account": "acme", "hour": THIS_HOUR, "endpoint": "crm", "outcome": "2xx", "count": 50, "latency_ms_sum": 1},
    )
    # The minute may end while the test runs.
    now = now_ms()
    minute = now - now % MINUTE
    api.put(minutely_events, *({"account": "acme", "minute": at, "count": 120} for at in (minute - MINUTE, minute)))
    api.put(freshness, {"id": 1, "caught_up_at": now, "lag": 0, "told_at": now})
    api.sign_in(Role.VIEWER)
    text = (await api.page("")).text
    assert 'href="/accounts/acme?window=24h#title-failures-detail">Failed' in text
    assert 'id="title-failures-detail"' in text
    for shown in ("1,990", "99.5%", "REJECTED_OPERATOR", "100.0%", "now 2.0, at most 2.0"):
        assert shown in text
    assert "Needs attention" not in text


async def test_statistics_count_messages_too_each_by_its_newest_status(api: Api) -> None:
    row = {"account": "acme", "hour": THIS_HOUR, "list_number": "", "detail": ""}
    api.put(
        hourly_messages,
        row | {"provider": "infobip", "status": "delivered", "count": 7},
        row | {"provider": "infobip", "status": "pending", "count": 0},
        row | {"provider": "twilio", "status": "expired", "count": 2},
    )
    api.put(hourly_events, counted(count=21))
    found = (await api.get("/api/statistics", params={"group": "provider", "event": "message"})).json()["data"]
    assert [(each["event"], each["provider"], each["status"], each["count"]) for each in found] == [
        ("message", "infobip", "delivered", 7),
        ("message", "twilio", "expired", 2),
    ]


async def test_an_account_without_events_is_told_the_first_steps(api: Api) -> None:
    api.sign_in(Role.VIEWER)
    text = (await api.page("")).text
    assert "Three steps to the first event" in text
    assert "The read model is not being updated" in text


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("provider", {("infobip", "delivered", 3), ("twilio", "delivered", 4)}),
        ("list_number", {("+18005551234", "delivered", 7)}),
        ("detail", {("", "delivered", 7)}),
    ],
)
async def test_events_are_counted_by_a_group(api: Api, group: str, expected: set[Any]) -> None:
    api.put(hourly_events, counted(count=3), counted(count=4, provider="twilio"), counted(count=9, account="other"))
    rows = (await api.get("/api/statistics", params={"group": group})).json()["data"]
    assert {(row[group], row["status"], row["count"]) for row in rows} == expected


async def test_events_are_counted_by_the_hour_and_the_day(api: Api) -> None:
    api.put(hourly_events, counted(count=1, hour=0), counted(count=2, hour=HOUR), counted(count=4, hour=24 * HOUR))
    span = {"since": "1970-01-01T00:00:00Z", "until": "1970-01-03T00:00:00Z"}
    by_hour = (await api.get("/api/statistics", params={"group": "hour", **span})).json()["data"]
    assert [(row["hour"], row["count"]) for row in by_hour] == [
        ("1970-01-02T00:00:00.000Z", 4),
        ("1970-01-01T01:00:00.000Z", 2),
        ("1970-01-01T00:00:00.000Z", 1),
    ]
    by_day = (await api.get("/api/statistics", params={"group": "day", **span})).json()["data"]
    assert [row["count"] for row in by_day] == [4, 3]


@pytest.mark.parametrize(
    ("group", "value"),
    [
        ("provider", "infobip"),
        ("list_number", "+18005551234"),
        ("detail", "'=1+1"),
        ("hour", "1970-01-01T01:00:00.000Z"),
        ("day", "1970-01-01T00:00:00.000Z"),
    ],
)
async def test_statistics_come_as_csv_that_no_spreadsheet_runs(api: Api, group: str, value: str) -> None:
    api.put(hourly_events, counted(count=3, hour=HOUR, detail="=1+1"))
    span = {"since": "1970-01-01T00:00:00Z", "until": "1970-01-03T00:00:00Z"}
    answer = await api.get("/api/statistics.csv", params={"group": group, **span})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text == f"event,status,{group},count\r\ndelivery,delivered,{value},3\r\n"


@pytest.mark.parametrize("since", ["401d", "x", "2026-01-01", "-1d"])
async def test_a_span_that_is_none_or_too_long_is_refused(api: Api, since: str) -> None:
    answer = await api.get("/api/statistics", params={"since": since, "group": "day"})
    assert refusal(answer) == (422, "validation_failed")
