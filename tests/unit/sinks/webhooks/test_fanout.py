from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from accounts.model import Accounts
from accounts.urls import POLL
from outbound.formats import CLOUDEVENT, CLOUDEVENTS, JSON
from schemas.codec import CodecError
from schemas.records import AccountConfig, EndpointAlert, MessageCallback, Record
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.fanout import callback_lane, fan_out, is_callback_lane, may_use_http, settings_of
from sinks.webhooks.window import Admission
from tests.clock import START
from tests.unit.sinks.sink_parts import delivered, endpoint, ledger

CALLBACK = MessageCallback(
    event_id="evt_1",
    account="acme",
    url="https://sender.example.com/callback?m=1",
    message_id="m-1",
    unique_args={},
    event="delivered",
    to="+15550001111",
    timestamp=START,
)
ALERT = EndpointAlert(
    event_id="evt_2",
    account="acme",
    endpoint="crm",
    event="endpoint.paused",
    reason="failing",
    since=START,
    timestamp=START,
)


def accounts_with(*configs: Any) -> Accounts:
    accounts = Accounts()
    for config in configs:
        accounts.put(config)
    return accounts


def deliveries(record: Record, *configs: Any) -> list[Delivery]:
    return fan_out(record, accounts_with(*configs), lambda size, count: Admission(ledger(), 0, size, count))


def test_a_callback_goes_to_the_messages_own_url_in_the_order_of_its_recipient() -> None:
    [delivery] = deliveries(CALLBACK, AccountConfig(id="acme", name="Acme"))
    assert (delivery.endpoint, delivery.url) == ("acme/~sender.example.com", CALLBACK.url)
    assert (delivery.event, delivery.event_id, delivery.contact) == ("delivered", "evt_1", "+15550001111")


def test_a_callback_of_an_account_that_is_gone_goes_nowhere() -> None:
    assert deliveries(CALLBACK) == []


@pytest.mark.parametrize(
    ("url", "lane"),
    [
        ("https://a.example/x?y", "acme/~a.example"),
        ("https://A.example:8443/x", "acme/~a.example:8443"),
        ("https://[::1]/", "acme/~::1"),
        ("https://a.example:port/", "acme/~"),
        ("no address", "acme/~"),
    ],
)
def test_callbacks_to_one_host_share_a_lane(url: str, lane: str) -> None:
    assert callback_lane("acme", url) == lane
    assert is_callback_lane(lane)
    assert not is_callback_lane("acme/crm")


@pytest.mark.parametrize(("secret", "signed_with"), [("env:SECRET", "env:SECRET"), (None, "")])
def test_callbacks_are_signed_where_the_account_has_a_secret_for_them(secret: str | None, signed_with: str) -> None:
    account = AccountConfig(id="acme", name="Acme", callback_secret=secret)
    config = settings_of("acme/~a.example", accounts_with(account))
    assert config is not None
    assert config.secret == signed_with


def test_an_account_may_be_allowed_http() -> None:
    accounts = accounts_with(AccountConfig(id="acme", name="", allow_http=True), AccountConfig(id="other", name=""))
    names = ("acme/crm", "acme/~a.example", "other/crm", "gone/crm")
    assert [may_use_http(name, accounts) for name in names] == [True, True, False, False]


def test_an_alert_goes_to_the_accounts_other_endpoints_that_want_it_whatever_their_lists() -> None:
    wanting = {"events": ("endpoint.paused",), "lists": ("+18005551234",)}
    found = deliveries(
        ALERT, endpoint("crm", **wanting), endpoint("ops", **wanting), endpoint("other"),
        endpoint("foreign", account="b", **wanting),
    )  # fmt: skip
    assert [delivery.endpoint for delivery in found] == ["acme/ops"]


def test_each_endpoint_gets_its_own_layout_of_the_same_event() -> None:
    plain, wrapped, batch, wrapped_batch = deliveries(
        delivered("evt_1"),
        endpoint("a"),
        endpoint("b", format="cloudevents"),
        endpoint("c", batch_events=10),
        endpoint("d", format="cloudevents", batch_events=10),
    )
    assert [d.content_type for d in (plain, wrapped, batch, wrapped_batch)] == [JSON, CLOUDEVENT, JSON, CLOUDEVENTS]
    assert [d.loose for d in (plain, wrapped, batch, wrapped_batch)] == [False, False, True, True]
    assert plain.body == batch.body
    assert json.loads(wrapped.body)["data"] == json.loads(plain.body)
    assert wrapped_batch.body == wrapped.body


def test_memory_of_an_event_counts_every_layout_and_delivery() -> None:
    [one] = deliveries(delivered("evt_1"), endpoint("a"))
    both = deliveries(delivered("evt_1"), endpoint("a"), endpoint("b", format="cloudevents"))
    assert both[0].admission.size > 2 * one.admission.size > 2 * len(one.body)


def test_what_is_no_webhook_is_an_error() -> None:
    with pytest.raises(CodecError, match="AccountConfig"):
        deliveries(AccountConfig(id="acme", name=""), endpoint())


def test_a_loose_body_that_leaves_the_lane_alone_is_an_array_of_one() -> None:
    [delivery] = deliveries(delivered("evt_1"), endpoint(batch_events=10))
    body = delivery.body
    delivery.bind()
    delivery.bind()
    assert delivery.body == b"[" + body + b"]"
    assert delivery.event_id == "evt_1"


def test_an_alert_of_another_name_goes_to_nobody() -> None:
    assert deliveries(replace(ALERT, event="endpoint.recovered"), endpoint("ops", events=("endpoint.paused",))) == []


def test_an_endpoint_that_is_polled_gets_no_webhooks_and_has_no_lane() -> None:
    accounts = accounts_with(endpoint(url=POLL, events=("delivery", "endpoint.paused")))
    for record in (delivered("evt_1"), replace(ALERT, endpoint="shop")):
        assert deliveries(record, endpoint(url=POLL, events=("delivery", "endpoint.paused"))) == []
    assert settings_of("acme/crm", accounts) is None
