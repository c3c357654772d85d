"""The trace of a message: what happened, in order, what was skipped and why; and the raw callback of a report."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from console.backends.raw_callbacks import SHOWN_BYTES, as_text
from console.principals import Role
from console.queries.traces import why_not
from database.tables import attempts, contact_changes, events, messages, receipts
from schemas.ids import derived_id
from schemas.records import EndpointConfig
from tests.unit.console.console_parts import LIST, Api, raw_callback, refusal
from tests.unit.console.rows import NOW, answered_attempt, change, event, message, receipt

PATH = "/api/deliveries/infobip/ib-1"
DELIVERED = derived_id("evt_receipt_1", "delivery")


def endpoint(name: str = "crm", **changes: Any) -> EndpointConfig:
    known: dict[str, Any] = {"account": "acme", "id": name, "url": "https://crm.example.com", "secret": "s"}
    return EndpointConfig(**known | {"events": ("delivery",)} | changes)


@pytest.fixture
def api() -> Api:
    api = Api()
    api.accounts.put(endpoint())
    api.put(messages, message(1))
    return api


async def steps(api: Api) -> list[dict[str, Any]]:
    answer = await api.get(PATH)
    assert answer.status_code == 200, answer.text
    return answer.json()["steps"]  # type: ignore[no-any-return]


async def test_a_trace_goes_from_the_registration_to_the_webhook_in_order_of_time(api: Api) -> None:
    api.put(receipts, receipt(1))
    api.put(events, event(DELIVERED))
    api.put(attempts, answered_attempt(DELIVERED))
    found = await steps(api)
    assert [step["kind"] for step in found] == ["registered", "receipt", "event", "attempt"]
    assert [step["after_ms"] for step in found] == [None, 61_000, 500, 500]


async def test_an_event_stands_behind_the_report_that_led_to_it_whatever_the_provider_s_clock_says(api: Api) -> None:
    api.put(receipts, receipt(1, received_at=NOW + 4 * 86_400_000))
    api.put(events, event(DELIVERED, at=NOW))
    found = await steps(api)
    assert [step["kind"] for step in found[:3]] == ["registered", "receipt", "event"]
    assert list(found[2]["facts"]) == ["Provider's time"]
    api.sign_in(Role.VIEWER)
    assert " d later" in (await api.page("/deliveries/infobip/ib-1")).text


async def test_what_was_told_before_the_message_was_registered_is_in_its_trace(api: Api) -> None:
    api.put(receipts, receipt(1))
    api.put(events, event(DELIVERED, message_id="ib-1"))
    api.put(attempts, answered_attempt(DELIVERED))
    assert [step["kind"] for step in await steps(api)] == ["registered", "receipt", "event", "attempt"]


async def test_an_event_of_many_messages_of_one_id_is_found_for_each(api: Api) -> None:
    api.put(events, *(event(f"evt_{n}", provider_message_id=f"ib-{n}") for n in range(300, 1, -1)))
    api.put(events, event(DELIVERED, provider_message_id="ib-1"))
    found = (await api.get(PATH)).json()
    assert ([step["kind"] for step in found["steps"]].count("event"), found["complete"]) == (1, True)


async def test_a_report_that_led_to_an_event_changed_the_state_and_another_was_ignored(api: Api) -> None:
    api.put(receipts, receipt(1), receipt(2))
    api.put(events, event(DELIVERED))
    reports = [step for step in await steps(api) if step["kind"] == "receipt"]
    assert [step["outcome"].partition(":")[0] for step in reports] == ["changed the state", "ignored"]
    assert [step["source"] for step in reports] == ["sms.raw/0/0", "sms.raw/0/1"]


async def test_a_removal_that_the_report_caused_is_in_the_trace_and_no_other(api: Api) -> None:
    api.put(receipts, receipt(1))
    caused = change(event_id=derived_id("evt_receipt_1", "unsubscribe"), reason="bad_response")
    api.put(contact_changes, caused, change(event_id="evt_other"))
    (rule,) = [step for step in await steps(api) if step["kind"] == "contact"]
    assert rule["facts"]["Reason"] == "bad_response"


async def test_an_endpoint_without_an_attempt_is_named_with_the_reason(api: Api) -> None:
    api.accounts.put(endpoint("replies", events=("reply",)))
    api.put(events, event(DELIVERED))
    api.put(attempts, answered_attempt(DELIVERED))
    (skipped,) = [step for step in await steps(api) if step["kind"] == "skipped"]
    assert (skipped["title"], skipped["outcome"]) == ("No attempt to replies", "it does not subscribe to delivery")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"events": ("reply",)}, "it does not subscribe to delivery"),
        ({"lists": ("+18005559999",)}, "it does not subscribe to this list"),
        ({"enabled": False}, "it is disabled"),
        ({"enabled": False, "paused_reason": "gone"}, "it is paused: its webhooks wait"),
        ({"url": "poll"}, "its receiver polls for its events"),
        ({}, "no attempt yet, or it is no longer stored"),
    ],
)
def test_why_an_endpoint_got_nothing(settings: dict[str, Any], reason: str) -> None:
    assert why_not(endpoint(**settings), "delivery", LIST) == reason


async def test_what_happened_to_another_message_or_account_is_not_in_it(api: Api) -> None:
    api.put(receipts, receipt(1, provider_message_id="ib-2"), receipt(2, account="other"))
    api.put(events, event("evt_a", account="other"), event("evt_b", provider_message_id="ib-2"))
    assert [step["kind"] for step in await steps(api)] == ["registered"]


@pytest.mark.parametrize("identity", ["a/b", "a b", "ü?x=1&y#z", "50%", "a;b", "<i>"])
async def test_ids_with_odd_characters_have_a_trace(api: Api, identity: str) -> None:
    api.put(messages, message(2, provider_message_id=identity))
    for safe in ("", "/"):
        answer = await api.get(f"/api/deliveries/infobip/{quote(identity, safe=safe)}")
        assert answer.json()["delivery"]["provider_message_id"] == identity
    api.sign_in(Role.VIEWER)
    assert (await api.page(f"/deliveries/infobip/{quote(identity)}")).status_code == 200


async def test_a_message_that_is_not_known_leads_to_where_else_it_may_be(api: Api) -> None:
    assert refusal(await api.get("/api/deliveries/infobip/none")) == (404, "not_found")
    api.sign_in(Role.VIEWER)
    answer = await api.page("/deliveries/infobip/none")
    assert answer.status_code == 404
    assert "/accounts/acme/rejected" in answer.text
    assert "/accounts/acme/dead-letters" in answer.text


async def test_a_viewer_s_trace_has_no_number_and_no_words_of_others(api: Api) -> None:
    texts = {"provider_text": "to +15551230001 it went", "provider_status": "GONE_TO_15551230001"}
    api.put(receipts, receipt(1, **texts))
    api.sign_in(Role.VIEWER)
    assert "15551230001" not in (shown := (await api.page("/deliveries/infobip/ib-1")).text)
    assert "Show the raw callback" not in shown


async def test_what_receivers_answered_is_escaped(api: Api) -> None:
    api.put(events, event(DELIVERED))
    api.put(attempts, answered_attempt(DELIVERED, response_head="<script>alert(1)</script>"))
    api.sign_in(Role.ADMIN)
    assert "<script>alert" not in (await api.page("/deliveries/infobip/ib-1")).text


# The raw callback


async def test_the_raw_callback_is_shown_as_it_came(api: Api) -> None:
    found = (await api.get("/api/raw/sms.raw/0/0")).json()
    assert (found["method"], found["body"], found["encoding"]) == ("POST", '{"results": []}', "utf-8")


async def test_the_raw_callback_of_another_account_is_like_one_that_is_gone(api: Api) -> None:
    api.raw.callbacks["sms.raw", 0, 1] = raw_callback(account="other")
    answers = [await api.get(f"/api/raw/sms.raw/0/{offset}") for offset in (1, 2)]
    assert refusal(answers[0]) == (404, "not_found")
    assert answers[0].text == answers[1].text


async def test_a_viewer_may_not_see_raw_callbacks(api: Api) -> None:
    api.sign_in(Role.VIEWER)
    assert (await api.page("/raw/sms.raw/0/0")).status_code == 403


async def test_a_raw_body_is_escaped_on_its_page(api: Api) -> None:
    api.raw.callbacks["sms.raw", 0, 0] = raw_callback(body=b"</pre><script>alert(1)</script>")
    api.sign_in(Role.SUPPORT)
    shown = await api.page("/raw/sms.raw/0/0")
    assert shown.status_code == 200
    assert "<script>alert" not in shown.text


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", ("", "utf-8")),
        ("grüße\n".encode(), ("grüße\n", "utf-8")),
        (b"\xff\x00", ("ff00", "hex")),
        (b"a\x00b", ("610062", "hex")),
        (b"a" * (SHOWN_BYTES + 1), ("a" * SHOWN_BYTES, "utf-8")),
        (b"a" * (SHOWN_BYTES - 1) + "ü".encode(), ("a" * (SHOWN_BYTES - 1), "utf-8")),
    ],
)
def test_a_body_is_text_or_hex_and_cut(body: bytes, shown: tuple[str, str]) -> None:
    assert as_text(body) == shown


@pytest.mark.parametrize(
    ("body", "content_type", "shown"),
    [
        ("é".encode("utf-8-sig"), None, ("é", "utf-8")),
        ("é".encode("utf-16"), "application/json", ("é", "utf-16-le")),
        ("é".encode("latin-1"), "text/plain; charset=iso-8859-1", ("é", "iso-8859-1")),
        (b"\x00\x01", "text/plain; charset=iso-8859-1", ("0001", "hex")),
        (b"\xff\xfe" + "é".encode("utf-16-le") * SHOWN_BYTES, None, ("é" * (SHOWN_BYTES // 2 - 1), "utf-16-le")),
        (b"\xff\xfe\x00\xd8\x41\x00", None, ("fffe00d84100", "hex")),
    ],
)
def test_a_body_is_shown_in_its_own_charset(body: bytes, content_type: str | None, shown: tuple[str, str]) -> None:
    assert as_text(body, content_type) == shown
