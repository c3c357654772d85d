"""Which records become alerts, of which type, and what they tell."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from sink_parts import START, delivered

from accounts.alerts import TYPES
from providers.meanings import tables
from schemas.records import EndpointAlert, RejectedRecord, ReplyEvent, UnsubscribeEvent
from sinks.alert_rules import BILLING, LONGEST, alert_of

NUMBER = "+15551230001"


def failed(**changes: Any) -> Any:
    values: dict[str, Any] = {
        "status": "undeliverable",
        "status_detail": "REJECTED_ABSENT_SUBSCRIBER",
        "status_class": "transient",
    }
    return delivered("evt_1", NUMBER, **(values | changes))


def removed(reason: str, keyword: str | None = "STOP") -> UnsubscribeEvent:
    return UnsubscribeEvent(
        event_id="evt_1",
        account="acme",
        provider="twilio",
        phone_number=NUMBER,
        list_number="+18005551234",
        keyword=keyword,
        reason=reason,
        timestamp=START,
    )


REPLY = ReplyEvent(
    event_id="evt_1",
    account="acme",
    provider="twilio",
    phone_number=NUMBER,
    list_number="+18005551234",
    body="call me at +15551239999",
    timestamp=START,
)


def rejected(account: str | None) -> RejectedRecord:
    return RejectedRecord(
        event_id="evt_1",
        stage="normalize",
        reason="not_json",
        error=f"what came: {NUMBER}",
        account=account,
        provider="infobip",
        source_topic="sms.raw",
        source_partition=0,
        source_offset=1,
        item=NUMBER,
        rejected_at=START,
    )


def endpoint_alert(event: str) -> EndpointAlert:
    return EndpointAlert(
        event_id="evt_1",
        account="acme",
        endpoint="crm",
        event=event,
        reason="failing",
        error="timeout",
        failures=100,
        since=START,
        timestamp=START,
    )


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (failed(), "delivery_failures"),
        (failed(status="expired", status_detail="EXPIRED"), "delivery_failures"),
        (failed(status_class="neutral"), "delivery_failures"),
        (failed(final=False), None),
        (failed(status="delivered"), None),
        (failed(status="pending"), None),
        (failed(status_class="complaint"), None),
        (failed(status_class="opt_out"), None),
        (failed(provider="infobip", status_class="neutral", status_detail="REJECTED_NOT_ENOUGH_CREDITS"), "billing"),
        (failed(provider="twilio", status_class="neutral", status_detail="ACCOUNT_SUSPENDED"), "billing"),
        (failed(provider="cm", status_class="neutral", status_detail="ACCOUNT_SUSPENDED"), "delivery_failures"),
        (removed("message"), "opt_outs"),
        (removed("complaint"), "complaints"),
        (removed("manual"), None),
        (removed("bad_response"), None),
        (removed("invalid_contact"), None),
        (REPLY, "inbound_messages"),
        (rejected("acme"), "rejected_payloads"),
        (rejected(None), None),
        (endpoint_alert("endpoint.paused"), "endpoint_paused"),
        (endpoint_alert("endpoint.expiring"), "endpoint_paused"),
        (endpoint_alert("endpoint.recovered"), "endpoint_paused"),
        (endpoint_alert("endpoint.later"), "endpoint_paused"),
    ],
)
def test_a_record_is_an_alert_of_a_type_or_none(record: Any, kind: str | None) -> None:
    alert = alert_of(record)
    assert (alert and alert.type) == kind


@pytest.mark.parametrize("record", [failed(), removed("message"), removed("complaint"), REPLY, rejected("acme")])
def test_no_alert_has_a_whole_number_or_a_text_of_a_recipient(record: Any) -> None:
    told = str(asdict(alert_of(record)))  # type: ignore[arg-type]
    assert NUMBER not in told
    assert "+15551239999" not in told


@pytest.mark.parametrize("record", [removed("message"), removed("complaint"), REPLY])
def test_what_is_about_a_recipient_shows_the_number_masked(record: Any) -> None:
    alert = alert_of(record)
    assert alert is not None
    assert alert.facts["Number"] == "+1555•••0001"


def test_an_endpoints_alert_names_it_and_why() -> None:
    alert = alert_of(endpoint_alert("endpoint.paused"))
    assert alert is not None
    assert alert.title == "Webhook endpoint acme/crm is paused"
    assert alert.facts == {
        "Endpoint": "acme/crm",
        "Reason": "failing",
        "Last error": "timeout",
        "Failures in a row": "100",
        "Since": "2024-01-15T10:30:00.000Z",
    }


def test_what_providers_write_is_cut() -> None:
    alert = alert_of(failed(status_detail="X" * 5_000))
    assert alert is not None
    assert len(alert.reason) == len(alert.facts["Reason"]) == LONGEST


@pytest.mark.parametrize("provider", sorted(BILLING))
def test_every_detail_that_means_billing_is_in_the_providers_table(provider: str) -> None:
    rows = [row for table in tables(provider).values() if isinstance(table, list) for row in table]
    assert BILLING[provider] <= {row.get("detail") for row in rows}


def test_every_type_is_given_by_a_record() -> None:
    credit = failed(provider="infobip", status_detail="REJECTED_NOT_ENOUGH_CREDITS")
    records = (failed(), credit, removed("message"), removed("complaint"), REPLY, rejected("acme"))
    kinds = {alert.type for record in records if (alert := alert_of(record))}
    assert kinds | {"endpoint_paused"} == set(TYPES)
