"""The contacts stage brings together one recipient's registered messages, reports, replies, and orders."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bus.clock import now_ms
from schemas.ids import recipient_key
from schemas.records import (
    AccountConfig,
    ContactCommand,
    ContactState,
    DeliveryEvent,
    InboundMessage,
    ListConfig,
    MessageSent,
    ReplyEvent,
    SentEvent,
    UnsubscribeEvent,
)
from tests.cluster import Cluster, running
from tests.patience import http

pytestmark = pytest.mark.broker

ONE, TWO = "+18005550001", "+18005550002"


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("contacts")
    lists = [ListConfig(account="acme", number=number, retry_threshold=2) for number in (ONE, TWO)]
    configs = [AccountConfig(id="acme", name="Acme", opt_out_words={"phrases": ("no more pizza",)}), *lists]
    environment = {"LIME_WEBHOOK_SECRET": "in-the-path"}
    with running(broker, directory, "con", configs, "ingest", "streams-1", **environment) as cluster:
        yield cluster


def post(cluster: Cluster, *results: dict[str, object]) -> None:
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
    assert http.post(url, json={"results": results}).status_code == 200


def report(message_id: str, to: str, name: str, second: int, sender: str | None = None) -> dict[str, object]:
    groups = {"DELIVERED_TO_HANDSET": (3, 5), "REJECTED_OPERATOR": (2, 14), "REJECTED_SPAM": (5, 51)}
    group, number = groups[name]
    body: dict[str, object] = {
        "messageId": message_id,
        "to": to,
        "status": {"groupId": group, "id": number, "name": name},
        "doneAt": f"2026-11-20T10:15:{second:02d}.000+0000",
    }
    return body if sender is None else {**body, "sender": sender}


def order(command: str, number: str) -> ContactCommand:
    return ContactCommand(
        event_id=f"evt_{command}",
        command=command,
        account="acme",
        list_number=ONE,
        phone_number=number,
        issued_at=now_ms(),
    )


def test_a_report_of_a_registered_message_carries_its_own_id_and_list(cluster: Cluster) -> None:
    number = "+15550100001"
    message = MessageSent(
        message_id="order-4711",
        account="acme",
        provider="infobip",
        provider_message_id="ib-1",
        list_number=TWO,
        to=number,
        sent_at=now_ms(),
    )
    cluster.send("messages", message, recipient_key("acme", number))
    cluster.wait_for("sent", SentEvent, number)
    post(cluster, report("ib-1", number, "DELIVERED_TO_HANDSET", 1, sender=ONE))
    (event,) = cluster.wait_for("delivery", DeliveryEvent, number)
    assert (event.message_id, event.provider_message_id, event.list_number) == ("order-4711", "ib-1", TWO)


def test_a_complaint_without_a_known_list_removes_from_every_list(cluster: Cluster) -> None:
    number = "+15550100002"
    post(cluster, report("orphan-1", number, "REJECTED_SPAM", 1))
    (event,) = cluster.wait_for("delivery", DeliveryEvent, number)
    assert event.list_number is None
    states = cluster.wait_for("contacts", ContactState, number, count=3)
    assert {(state.list_number, state.active, state.scope) for state in states} == {
        (listed, False, "account") for listed in ("", ONE, TWO)
    }


def test_a_contact_of_one_list_is_removed_from_that_list_only(cluster: Cluster) -> None:
    number = "+15550100003"
    for n in (1, 2):
        post(cluster, report(f"one-{n}", number, "REJECTED_OPERATOR", n, sender=ONE))
    post(cluster, report("two-1", number, "REJECTED_OPERATOR", 3, sender=TWO))
    states = cluster.wait_for("contacts", ContactState, number, count=3)
    last = {state.list_number: (state.active, state.failures, state.reason) for state in states}
    assert last == {ONE: (False, 2, "bad_response"), TWO: (True, 1, None)}


def test_late_reports_count_by_the_provider_s_time(cluster: Cluster) -> None:
    number = "+15550100004"
    for message_id, name, second in [
        ("late-3", "REJECTED_OPERATOR", 30),
        ("late-1", "REJECTED_OPERATOR", 10),
        ("late-2", "DELIVERED_TO_HANDSET", 20),
    ]:
        post(cluster, report(message_id, number, name, second, sender=TWO))
        cluster.wait_for("delivery", DeliveryEvent, message_id)
    states = cluster.wait_for("contacts", ContactState, number)
    assert states[-1].failures == 1


def test_a_number_that_answers_stop_is_out_and_start_brings_it_back(cluster: Cluster) -> None:
    number = "+15550100005"
    for n, text in enumerate(["Hello", "stop", "START"], 1):
        reply = {"messageId": f"mo-{n}", "from": number, "to": ONE, "text": text,
                 "receivedAt": f"2026-11-20T11:00:{n:02d}.000+0000"}  # fmt: skip
        post(cluster, reply)
        post(cluster, reply)
        cluster.wait_for("inbound", InboundMessage, f'mo-{n}"', count=2)
    states = cluster.wait_for("contacts", ContactState, number, count=2)
    assert [(state.active, state.reason) for state in states] == [(False, "message"), (True, None)]
    replies = cluster.wait_for("reply", ReplyEvent, number, count=2)
    assert [reply.body for reply in replies] == ["Hello", "START"]
    (unsubscribe,) = cluster.wait_for("unsubscribe", UnsubscribeEvent, number)
    assert (unsubscribe.keyword, unsubscribe.reason) == ("STOP", "message")


def test_a_reply_is_read_by_the_words_of_its_account_and_a_complaint_is_stronger(cluster: Cluster) -> None:
    number = "+15550100009"
    for n, text in enumerate(["No more pizza please", "This is spam", "START"], 1):
        reply = {"messageId": f"words-{n}", "from": number, "to": ONE, "text": text,
                 "receivedAt": f"2026-11-20T12:00:{n:02d}.000+0000"}  # fmt: skip
        post(cluster, reply)
        if text != "START":
            cluster.wait_for("contacts", ContactState, number, count=n)
    cluster.wait_for("reply", ReplyEvent, number)
    states = cluster.wait_for("contacts", ContactState, number, count=2)
    assert [(state.active, state.reason) for state in states] == [(False, "message"), (False, "complaint")]
    (unsubscribe,) = cluster.wait_for("unsubscribe", UnsubscribeEvent, number)
    assert (unsubscribe.keyword, unsubscribe.reason) == ("no more pizza", "message")


def test_an_opt_out_of_all_removes_the_number_from_every_list(cluster: Cluster) -> None:
    number = "+15550100008"
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/lime/in-the-path"
    query = {"account": "acme", "action": "optout-all", "list_id": "1221", "mobile_number": number.lstrip("+")}
    assert http.get(url, params=query).status_code == 200
    states = cluster.wait_for("contacts", ContactState, number, count=3)
    assert {(state.list_number, state.active) for state in states} == {("", False), (ONE, False), (TWO, False)}
    events = cluster.wait_for("unsubscribe", UnsubscribeEvent, number, count=2)
    assert len({event.event_id for event in events}) == 2


def test_an_operator_removes_and_restores(cluster: Cluster) -> None:
    number = "+15550100006"
    cluster.send("commands", order("remove", number), recipient_key("acme", number))
    (removed,) = cluster.wait_for("contacts", ContactState, number)
    assert (removed.active, removed.reason) == (False, "manual")
    cluster.send("commands", order("restore", number), recipient_key("acme", number))
    restored = cluster.wait_for("contacts", ContactState, number, count=2)[-1]
    assert (restored.active, restored.reason) == (True, None)


def test_a_worker_tells_how_it_does(cluster: Cluster) -> None:
    port = cluster.services["streams-1"].health_port
    metrics = http.get(f"http://127.0.0.1:{port}/metrics").text
    for name in (
        "lag_records",
        "skipped_by_retention_records",
        'records_total{result="taken",stage="contacts"}',
        "callback_to_event_seconds_count",
    ):
        assert f"trackly_streams_{name}" in metrics
    assert "+1555" not in metrics


def test_traces_go_from_the_callback_to_the_event(cluster: Cluster) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
    body = {"results": [report("traced-1", "+15550100007", "DELIVERED_TO_HANDSET", 1, sender=ONE)]}
    http.post(url, json=body, headers={"traceparent": trace})
    cluster.wait_for("delivery", DeliveryEvent, "traced-1")
    headers = [dict(r.headers) for r in cluster.stored("delivery") if b"traced-1" in r.value]
    assert [h["traceparent"] for h in headers] == [trace.encode()]
    assert headers[0]["ce_type"] == b"trackly.DeliveryEvent"


def test_a_wider_scope_of_opt_outs_is_shown_beforehand(cluster: Cluster) -> None:
    number = "+15550100099"
    reply: dict[str, object] = {
        "messageId": "mo-scope",
        "from": number,
        "to": ONE,
        "text": "STOP",
        "receivedAt": "2026-11-20T10:15:00Z",
    }
    post(cluster, reply)
    cluster.wait_for("unsubscribe", UnsubscribeEvent, number)
    cluster.wait_for("contacts", ContactState, number)
    shown = cluster.trackly("compare", "--opt-out-scope", "account", "--account", "acme", "--json", "--examples", "100")
    assert shown.returncode == 0, shown.stderr
    found = {line["list_number"]: line for line in map(json.loads, shown.stdout.splitlines())}
    assert "+15…99" in found[TWO]["examples"]
    assert "+15…99" not in found[ONE]["examples"]
