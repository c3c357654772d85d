"""Changes to webhooks, by the API and on pages: endpoints, secrets, replays, retries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.secrets import is_literal
from bus.clock import now_ms
from console.changes.replays import orders_of, plan_dead
from console.principals import Role
from console.queries.dead import DeadLettersFilter
from console.queries.statistics import dead_since
from database.tables import dead_webhooks, rejected
from operations.replays import MOST_IDS
from schemas.records import AuditEntry, EndpointConfig, RawCallback, ReplayCommand
from tests.unit.console.console_parts import A_SECRET, Api, endpoint, refusal
from tests.unit.console.rows import dead_letter, rejected_item

NEW = {"id": "billing", "url": "https://billing.example.com/hook"}


@pytest.fixture
def api() -> Api:
    api = Api()
    api.sign_in(Role.ADMIN)
    return api


def stored(api: Api, name: str = "acme/crm") -> EndpointConfig:
    return api.accounts.endpoints[name]


def audited(api: Api) -> list[tuple[str, str]]:
    return [(each.action, each.object) for each in api.written.records("audit") if isinstance(each, AuditEntry)]


async def test_a_new_endpoint_has_a_secret_that_is_shown_once_and_stored_sealed(api: Api) -> None:
    answer = await api.post("/api/endpoints", json=NEW)
    assert answer.status_code == 201
    secret = answer.json()["secret"]
    assert secret.startswith("whsec_")
    assert not is_literal(stored(api, "acme/billing").secret)
    assert secret not in (await api.get("/api/endpoints/billing")).text
    assert secret not in str(api.written.records("audit"))
    assert audited(api) == [("endpoint.create", "endpoint billing")]


async def test_a_page_makes_an_endpoint_and_shows_its_secret_this_once(api: Api) -> None:
    made = await api.form("/webhooks/new", **NEW, events=["delivery"])
    assert made.status_code == 200
    assert A_SECRET.search(made.text)
    assert stored(api, "acme/billing").events == ("delivery",)
    assert A_SECRET.search((await api.page("/webhooks/billing")).text) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "http://billing.example.com"}, "url"),
        ({"url": "nonsense"}, "url"),
        ({"url": "https://10.0.0.1/hook"}, "url"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "url"),
        ({"id": "a/b"}, "id"),
        ({"events": ["nothing"]}, "events[0]"),
        ({"lists": ["+18005550000"]}, "lists[0]"),
        ({"format": "xml"}, "format"),
        ({"batch_events": 1_000}, "batch_events"),
        ({"headers": {"Host": "x"}}, "headers.Host"),
        ({"headers": {"X-Key": "env:HOME"}}, "headers.X-Key"),
        ({"secret": "file:/etc/passwd"}, "secret"),
    ],
)
async def test_a_mistake_is_named_by_its_field_and_nothing_is_written(api: Api, changes: Any, field: str) -> None:
    answer = await api.post("/api/endpoints", json=NEW | changes)
    assert refusal(answer) == (422, "validation_failed")
    assert field in answer.json()["message"]
    assert not api.written.entries


async def test_an_endpoint_is_never_made_twice(api: Api) -> None:
    answer = await api.post("/api/endpoints", json={**NEW, "id": "crm"})
    assert refusal(answer) == (409, "conflict")


async def test_a_change_keeps_the_secret_and_the_rotation(api: Api) -> None:
    before = endpoint(secret="env:A", secret_next="env:B", secret_next_at=now_ms() + 60_000)
    api.accounts.put(before)
    answer = await api.request("PUT", "/api/endpoints/crm", json={"url": "https://crm.example.com", "events": ["sent"]})
    assert answer.status_code == 200, answer.text
    after = stored(api)
    assert (after.url, after.events) == ("https://crm.example.com", ("sent",))
    assert (after.secret, after.secret_next) == (before.secret, before.secret_next)


async def test_an_endpoint_is_paused_and_resumed(api: Api) -> None:
    assert (await api.form("/webhooks/crm/pause")).status_code == 303
    assert stored(api).paused_reason == "operator"
    assert "Resume" in (await api.page("/webhooks/crm")).text
    assert (await api.form("/webhooks/crm/resume")).status_code == 303
    assert stored(api).enabled
    assert audited(api) == [("endpoint.pause", "endpoint crm"), ("endpoint.resume", "endpoint crm")]


async def test_a_rotation_shows_the_new_secret_once_and_both_sign_until_it_ends(api: Api) -> None:
    answer = await api.post("/api/endpoints/crm/rotate-secret", json={"overlap_hours": 1})
    assert answer.json()["secret"].startswith("whsec_")
    assert answer.json()["endpoint"]["secret_next"] == "***"
    again = await api.post("/api/endpoints/crm/rotate-secret", json={})
    assert refusal(again) == (409, "conflict")
    assert (await api.post("/api/endpoints/crm/activate-secret")).json()["secret_next"] is None


async def test_an_endpoint_is_deleted_when_its_name_is_typed(api: Api) -> None:
    assert (await api.form("/webhooks/crm/delete", name="crn")).status_code == 409
    assert (await api.form("/webhooks/crm/delete", name="crm")).status_code == 303
    assert "acme/crm" not in api.accounts.endpoints
    assert [entry.record for topic, entry in api.written.entries if topic == "config_endpoints"] == [None]


async def test_a_test_tells_what_was_sent_and_why_it_failed(api: Api) -> None:
    result = (await api.post("/api/endpoints/crm/test", json={"event": "reply"})).json()
    assert json.loads(result["body"])["event"] == "reply"
    assert result["error_class"] == "refused_address"
    assert "loopback" in result["refusal"]
    assert {"X-Trackly-Signature", "webhook-id", "webhook-signature"} <= result["headers"].keys()


@pytest.mark.parametrize(
    ("role", "path"),
    [
        (Role.VIEWER, "/webhooks/crm/pause"),
        (Role.VIEWER, "/webhooks/crm/test"),
        (Role.VIEWER, "/dead-letters/replay"),
        (Role.VIEWER, "/rejected/retry"),
        (Role.SUPPORT, "/webhooks/new"),
        (Role.SUPPORT, "/webhooks/crm/edit"),
        (Role.SUPPORT, "/webhooks/crm/rotate"),
        (Role.SUPPORT, "/webhooks/crm/delete"),
    ],
)
async def test_a_role_that_is_too_low_changes_nothing(api: Api, role: Role, path: str) -> None:
    api.sign_in(role)
    assert (await api.form(path, name="crm", **NEW)).status_code == 403
    assert not api.written.entries


async def test_replaying_covers_the_filter_and_not_only_its_page(api: Api) -> None:
    api.put(dead_webhooks, *(dead_letter(nth) for nth in range(1, 131)))
    api.put(dead_webhooks, dead_letter(200, error_class="timeout"), dead_letter(201, delivered_at=1))
    plan = await api.page("/dead-letters/replay", params={"error_class": "http_status"})
    assert "<strong>130</strong>" in plan.text
    assert (await api.form("/dead-letters/replay", question="error_class=http_status")).status_code == 303
    (command,) = api.written.records("webhooks_replays")
    assert isinstance(command, ReplayCommand)
    assert (command.endpoint, command.outcome, len(command.event_ids)) == ("acme/crm", "dead", 130)
    assert audited(api) == [("replay.order", "endpoint crm")]
    assert "ordered" in (await api.page("/replays")).text


async def test_a_bulk_act_never_crosses_accounts(api: Api) -> None:
    api.put(dead_webhooks, dead_letter(1), dead_letter(2, account="other"))
    await api.form("/dead-letters/replay", question="")
    (command,) = api.written.records("webhooks_replays")
    assert isinstance(command, ReplayCommand)
    assert command.event_ids == ("evt_1",)


async def test_many_dead_letters_become_several_orders(api: Api) -> None:
    api.put(dead_webhooks, *(dead_letter(nth) for nth in range(MOST_IDS + 1)))
    with api.engine.connect() as connection:
        plan = plan_dead(connection, "acme", DeadLettersFilter(), api.accounts.endpoints_of("acme"))
    assert [len(each.event_ids) for each in orders_of(plan, "acme")] == [MOST_IDS, 1]


async def test_dead_letters_that_went_to_no_endpoint_are_left_out_of_a_replay(api: Api) -> None:
    others = [dead_letter(2, endpoint="~shop.example.com"), dead_letter(3, endpoint="gone")]
    api.put(dead_webhooks, dead_letter(1), *others)
    ordered = (await api.post("/api/dead-letters/replay")).json()["data"]
    assert [each["endpoint"] for each in ordered] == ["crm"]


async def test_dead_letters_of_an_unknown_endpoint_cannot_be_replayed(api: Api) -> None:
    answer = await api.post("/api/dead-letters/replay?endpoint=cmr")
    assert refusal(answer) == (404, "not_found")
    assert "'cmr'" in answer.json()["message"]


@pytest.mark.parametrize("path", ["/api/dead-letters/replay", "/api/rejected/retry"])
async def test_filters_in_a_body_do_not_select_everything(api: Api, path: str) -> None:
    api.put(dead_webhooks, dead_letter(1))
    answer = await api.post(path, json={"endpoint": "other", "reason": "not_json"})
    assert refusal(answer) == (422, "validation_failed")
    assert "write the filters into the query" in answer.json()["message"]
    assert not api.written.records("webhooks_replays")
    assert (await api.post(path, json={})).status_code == 202


async def test_a_webhook_that_was_given_up_again_is_one(api: Api) -> None:
    api.put(dead_webhooks, dead_letter(1), dead_letter(2), dead_letter(3, event_id=dead_letter(1)["event_id"]))
    with api.engine.connect() as connection:
        plan = plan_dead(connection, "acme", DeadLettersFilter(), api.accounts.endpoints_of("acme"))
        assert dead_since(connection, "acme", 0) == 2
    assert [len(each.event_ids) for each in orders_of(plan, "acme")] == [2]
    api.sign_in(Role.ADMIN)
    assert "<strong>2</strong> webhooks" in (await api.page("/dead-letters/replay")).text


async def test_a_replay_by_time_can_be_stopped(api: Api) -> None:
    ordered = (await api.post("/api/replays", json={"endpoint": "crm", "since": "1h", "outcome": "all"})).json()
    assert ordered["state"] == "ordered"
    assert (await api.post(f"/api/replays/{ordered['replay_id']}/stop")).json()["state"] == "stopping"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"endpoint": "crm", "since": "soon"}, 422),
        ({"endpoint": "crm", "since": "2h", "until": "3h"}, 422),
        ({"endpoint": "crm", "since": "1h", "outcome": "some"}, 422),
        ({"endpoint": "crm", "since": "1h", "events": ["nothing"]}, 422),
        ({"endpoint": "gone", "since": "1h"}, 404),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(api: Api, body: dict[str, Any], status: int) -> None:
    assert (await api.post("/api/replays", json=body)).status_code == status
    assert not api.written.records("webhooks_replays")


async def test_rejected_callbacks_are_processed_again_once_each_and_only_ones_own(api: Api) -> None:
    api.put(
        rejected,
        rejected_item(1),
        rejected_item(2, source="sms.raw/0/1", item_index=1),
        rejected_item(3, source="sms.raw/0/404"),
        rejected_item(4, account="other", source="sms.raw/0/2"),
    )
    mine = RawCallback("evt_raw", "infobip", "acme", "POST", "/", "", {}, None, b"{}", "", 1)
    api.raw.callbacks["sms.raw", 0, 1] = mine
    answer = await api.post("/api/rejected/retry", params={"reason": "unknown_status"})
    assert answer.json() == {"again": 1, "gone": 1, "is_all": True}
    assert api.written.records("raw") == [mine]
