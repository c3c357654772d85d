"""The API on a real broker with a real streams worker: its answers are true, or it gives none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from kafka.admin import KafkaAdminClient

from accounts.model import Config
from schemas.records import AccountConfig, ContactCommand, DeliveryEvent, ListConfig, MessageSent
from tests.cluster import Cluster, running
from tests.patience import PATIENCE, http

pytestmark = pytest.mark.broker

ONE, TWO = "+18005550001", "+18005550002"
CONFIGS: list[Config] = [
    AccountConfig(id="acme", name="Acme"),
    *(ListConfig(account="acme", number=number, retry_threshold=2) for number in (ONE, TWO)),
]


class Api:
    """A console of a cluster, asked with a key."""

    def __init__(self, cluster: Cluster, key: str, name: str = "console-1") -> None:
        self.cluster = cluster
        self._base = cluster.console(name)
        self._key = key

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"X-Api-Key": self._key, **options.pop("headers", {})}
        return http.request(method, self._base + path, headers=headers, **options)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", path, json=body, headers=named)

    def check(self, *numbers: str, list_number: str = ONE) -> httpx.Response:
        return self.post("/api/contacts/check", {"list_number": list_number, "numbers": numbers})

    def check_as_of(self, at: float, *numbers: str, list_number: str = ONE) -> list[dict[str, Any]]:
        """Return the first answer that is complete up to a time (seconds since 1970)."""
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.check(*numbers, list_number=list_number)
            if answer.status_code == 200 and datetime.fromisoformat(answer.json()["as_of"]).timestamp() > at:
                return answer.json()["contacts"]  # type: ignore[no-any-return]
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.1)

    def wait_for_start(self) -> None:
        """Wait until a restarted console answers."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.request("GET", "/livez")
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            else:
                return

    def wait_for(self, status: int, *numbers: str) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE
        while (answer := self.check(*numbers)).status_code != status:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.2)
        return answer


def delete_topic(cluster: Cluster, topic: str) -> None:
    client = KafkaAdminClient(**cluster.settings.kafka_python())
    client.delete_topics([cluster.settings.catalogue[topic].name])
    client.close()


def stop_reply(cluster: Cluster, number: str, list_number: str = ONE) -> float:
    """Post an opt-out; returns the time at which ingest had acknowledged it."""
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
    reply = {"messageId": f"mo-{number}", "from": number, "to": list_number, "text": "STOP"}
    assert http.post(url, json={"results": [reply]}).status_code == 200
    return time.time()


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    services = ("ingest", "streams-1", "console-1", "console-2")
    with running(broker, tmp_path_factory.mktemp("console"), "api", CONFIGS, *services) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def key(cluster: Cluster) -> str:
    return asyncio.run(cluster.make_key("acme"))


@pytest.fixture
def api(cluster: Cluster, key: str) -> Api:
    api = Api(cluster, key)
    api.wait_for(200, "+15550000000")  # a new key is known within a second
    return api


def test_an_answer_holds_everything_that_was_acknowledged_before_its_time(cluster: Cluster, api: Api) -> None:
    for n in range(6):
        number = f"+1555010000{n}"
        acknowledged = stop_reply(cluster, number)
        (contact,) = api.check_as_of(acknowledged, number)
        assert (contact["may_be_texted"], contact["reason"]) == (False, "message")


def test_a_contact_is_removed_and_restored(api: Api) -> None:
    number = "+15550200001"
    for command, may_be_texted in (("remove", False), ("restore", True)):
        answer = api.post(f"/api/contacts/{command}", {"list_number": ONE, "numbers": [number]})
        assert answer.status_code == 202
        (contact,) = api.check_as_of(time.time(), number)
        assert contact["may_be_texted"] is may_be_texted
    orders = [r for r in api.cluster.records("commands") if isinstance(r, ContactCommand) and r.phone_number == number]
    assert {order.issued_by for order in orders} == {"acme key"}


def test_another_list_has_contacts_of_its_own(cluster: Cluster, api: Api) -> None:
    number = "+15550200002"
    acknowledged = stop_reply(cluster, number, TWO)
    assert api.check_as_of(acknowledged, number, list_number=TWO)[0]["may_be_texted"] is False
    assert api.check_as_of(acknowledged, number, list_number=ONE)[0]["may_be_texted"] is True


def test_a_report_finds_a_message_that_was_registered(cluster: Cluster, api: Api) -> None:
    number = "+15550200003"
    message = {
        "message_id": "order-1",
        "provider": "infobip",
        "provider_message_id": "ib-1",
        "list_number": TWO,
        "to": number,
    }
    assert api.post("/api/messages", {"messages": [message]}).status_code == 202
    api.check_as_of(time.time(), number)
    status = {"groupId": 3, "id": 5, "name": "DELIVERED_TO_HANDSET"}
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
    http.post(url, json={"results": [{"messageId": "ib-1", "to": number, "status": status}]})
    api.check_as_of(time.time(), number)
    (event,) = [r for r in cluster.records("delivery") if isinstance(r, DeliveryEvent) and r.to == number]
    assert (event.message_id, event.list_number) == ("order-1", TWO)


def test_consoles_agree_on_which_of_two_requests_was_the_first(cluster: Cluster, key: str, api: Api) -> None:
    apis = [api, Api(cluster, key, "console-2")]
    apis[1].wait_for(200, "+15550000000")
    with ThreadPoolExecutor(8) as pool:
        for n in range(5):
            message = {
                "message_id": f"twice-{n}",
                "provider": "cm",
                "provider_message_id": f"twice-{n}",
                "list_number": ONE,
                "to": "+15550200004",
            }
            sent = [
                pool.submit(each.post, "/api/messages", {"messages": [message]}, Idempotency_Key=f"twice-{n}")
                for each in apis * 2
            ]
            answers = [each.result() for each in sent]
            assert [answer.status_code for answer in answers] == [202] * 4
            assert len({answer.json()["accepted_at"] for answer in answers}) == 1
    records = [r for r in cluster.records("messages") if isinstance(r, MessageSent) and r.provider == "cm"]
    assert len({repr(record) for record in records}) == 5
    other = {"messages": [{**message, "message_id": "other"}]}
    assert [each.post("/api/messages", other, Idempotency_Key="twice-4").status_code for each in apis] == [422, 422]


def test_a_console_that_was_killed_remembers(cluster: Cluster, key: str, api: Api) -> None:
    number = "+15550200005"
    order = {"list_number": ONE, "numbers": [number]}
    first = api.post("/api/contacts/remove", order, Idempotency_Key="kill")
    assert api.check_as_of(time.time(), number)[0]["may_be_texted"] is False
    cluster.kill("console-1")
    cluster.start("console-1")
    cluster.wait_ready()
    again = Api(cluster, key)
    assert again.wait_for(200, number).json()["contacts"][0]["may_be_texted"] is False
    repeat = again.post("/api/contacts/remove", order, Idempotency_Key="kill").json()
    # The same order, which finds by now that it changes nothing.
    assert repeat == first.json() | {"unchanged": [number]}


def test_the_console_tells_how_it_does(cluster: Cluster, api: Api) -> None:
    metrics = http.get(cluster.console("console-1") + "/metrics").text
    (age,) = [line for line in metrics.splitlines() if line.startswith("trackly_console_contacts_age_seconds ")]
    assert float(age.split()[1]) < 30
    assert "+1555" not in metrics


# Failing closed


def test_without_streams_nobody_may_be_texted_past_the_limit(broker: str, tmp_path: Path) -> None:
    number = "+15550300001"
    services = ("ingest", "streams-1", "console-1")
    with running(broker, tmp_path, "api", CONFIGS, *services, TRACKLY_CHECK_MAX_AGE="4") as cluster:
        api = Api(cluster, asyncio.run(cluster.make_key("acme")))
        assert api.wait_for(200, number).json()["contacts"][0]["may_be_texted"] is True

        cluster.kill("streams-1")
        acknowledged = stop_reply(cluster, number)
        answer = api.wait_for(503, number)
        assert answer.json()["code"] == "not_available"
        assert "streams is stopped or behind" in answer.json()["message"]

        # A console that starts now knows less, not more.
        cluster.kill("console-1")
        cluster.start("console-1")
        api.wait_for_start()
        assert api.check(number).status_code == 503
        assert api.request("GET", f"/api/contacts/{ONE}/{number}").status_code == 503

        cluster.start("streams-1")
        assert api.check_as_of(acknowledged, number)[0]["may_be_texted"] is False


def test_a_topic_of_contacts_that_was_made_anew_is_not_trusted(broker: str, tmp_path: Path) -> None:
    number = "+15550300002"
    services = ("ingest", "streams-1", "console-1")
    with running(broker, tmp_path, "api", CONFIGS, *services, TRACKLY_CHECK_MAX_AGE="4") as cluster:
        api = Api(cluster, asyncio.run(cluster.make_key("acme")))
        api.wait_for(200, number)
        assert api.check_as_of(stop_reply(cluster, number), number)[0]["may_be_texted"] is False

        delete_topic(cluster, "contacts")
        assert "not_available" in api.wait_for(503, number).text
        cluster.__enter__()
        time.sleep(5)
        assert api.check(number).status_code == 503
        cluster.kill("console-1")
        cluster.start("console-1")
        api.wait_for_start()
        answer = api.wait_for(503, number)
        assert "was deleted and recreated" in answer.json()["message"]
        assert "was deleted and recreated" in http.get(cluster.console("console-1") + "/readyz").text


def test_an_input_that_was_made_anew_holds_nothing_up(broker: str, tmp_path: Path) -> None:
    number = "+15550300003"
    with running(broker, tmp_path, "api", CONFIGS, "ingest", "console-1", TRACKLY_CHECK_MAX_AGE="4") as cluster:
        api = Api(cluster, asyncio.run(cluster.make_key("acme")))
        # There is no streams, but nothing that it has not done either.
        api.wait_for(200, number)
        stop_reply(cluster, number)
        api.wait_for(503, number)
        delete_topic(cluster, "raw")
        cluster.__enter__()
        api.wait_for(200, number)
