"""Which records become alerts, of which type, and what they say."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from msgspec.structs import replace

from accounts.alerts import TYPES, Severity
from schemas.records import (
    COMMAND_PROVIDER,
    EndpointAlert,
    LossSettled,
    RecordsLost,
    RejectedRecord,
    RemovalsHeld,
    RemovedEvent,
    ReplyEvent,
    UnsubscribeEvent,
)
from sinks.alerts.rules import LONGEST, alert_of, alerts_of
from tests.clock import START
from tests.unit.sinks.sink_parts import delivered

NUMBER = "+15551230001"

LOST = RecordsLost(
    event_id="evt_lost",
    reader="trackly-streams",
    topic="sms.raw",
    partition=3,
    partitions=12,
    first=0,
    count=1_200,
    uncertain=True,
    opt_outs="all",
    noticed_at=START,
)


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


def removed_for(reason: str) -> RemovedEvent:
    return RemovedEvent(
        event_id="evt_1",
        account="acme",
        provider="twilio",
        phone_number=NUMBER,
        list_number="+18005551234",
        reason=reason,
        message_id="m-1",
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


def rejected(account: str | None, reason: str = "not_json", may_opt_out: bool = False) -> RejectedRecord:
    return RejectedRecord(
        event_id="evt_1",
        stage="normalize",
        reason=reason,
        error=f"what came: {NUMBER}",
        account=account,
        provider="infobip",
        source_topic="sms.raw",
        source_partition=0,
        source_offset=1,
        item=NUMBER,
        rejected_at=START,
        may_opt_out=may_opt_out,
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


HELD = RemovalsHeld(
    event_id="evt_held",
    account="acme",
    list_number="+18005551234",
    partition=3,
    reason="invalid_contact",
    removed=833,
    contacts=8_333,
    timestamp=1_705_314_600_000,
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
        (removed_for("complaint"), "complaints"),
        (replace(removed_for("complaint"), provider=COMMAND_PROVIDER), None),
        (removed_for("manual"), None),
        (removed_for("bad_response"), None),
        (removed_for("invalid_contact"), None),
        (REPLY, "inbound_messages"),
        (rejected("acme"), "rejected_payloads"),
        (rejected(None), None),
        (rejected("acme", "not_supported"), None),
        (rejected("acme", "other_channel"), None),
        (rejected("acme", may_opt_out=True), "unread_opt_outs"),
        (rejected("acme", "not_supported", may_opt_out=True), "unread_opt_outs"),
        (rejected(None, may_opt_out=True), None),
        (HELD, "held_removals"),
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


@pytest.mark.parametrize(("list_number", "name"), [("+18005551234", "+18005551234"), ("", "every list")])
def test_that_a_brake_took_hold_is_critical_and_tells_what_to_do(list_number: str, name: str) -> None:
    alert = alert_of(replace(HELD, list_number=list_number))
    assert alert is not None
    assert TYPES[alert.type].severity is Severity.CRITICAL
    assert alert.facts == {
        "List": name,
        "Reason": "invalid_contact",
        "Removed in the hour": "833 of 8,333 contacts in partition 3",
        "Decide": "trackly brake list acme, or Held removals in the console",
    }


def test_what_providers_write_is_cut() -> None:
    alert = alert_of(failed(status_detail="X" * 5_000))
    assert alert is not None
    assert len(alert.reason) == len(alert.facts["Reason"]) == LONGEST


def test_every_type_is_given_by_a_record() -> None:
    credit = failed(provider="infobip", status_detail="REJECTED_NOT_ENOUGH_CREDITS")
    unread = rejected("acme", may_opt_out=True)
    records = (failed(), credit, removed("message"), removed("complaint"), REPLY, rejected("acme"), unread, HELD)
    kinds = {alert.type for record in (*records, LOST) for alert in alerts_of(record, ["acme"])}
    assert kinds | {"endpoint_paused"} == set(TYPES)


def test_a_loss_of_opt_outs_is_a_critical_alert_to_every_account() -> None:
    alerts = alerts_of(LOST, ["acme", "other"])
    assert [alert.account for alert in alerts] == ["acme", "other"]
    assert len({alert.event_id for alert in alerts}) == 2
    assert TYPES[alerts[0].type].severity is Severity.CRITICAL
    assert alerts[0].facts == {
        "Records": "up to 1,200 of sms.raw",
        "Not texted": "any contact",
        "Since": "2024-01-15T10:30:00.000Z",
        "To do": "Import your providers' lists of opt-outs; then an operator runs trackly losses settle",
    }


def test_a_loss_without_opt_outs_is_no_alert() -> None:
    assert alerts_of(replace(LOST, opt_outs="none"), ["acme"]) == []


def test_that_a_loss_is_settled_is_no_alert() -> None:
    assert alerts_of(LossSettled(loss="evt_1", account="*", settled_by="ann", settled_at=1), ["acme"]) == []
