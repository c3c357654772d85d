"""URLs and requests as people and old senders write them are accepted, not lost."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from schemas.records import AccountConfig, InboundMessage, ListConfig, Postback, Receipt
from tests.cluster import Cluster, running
from tests.patience import PATIENCE, http

pytestmark = pytest.mark.broker

SECRET = "path/secret"
BODY = b'{"results": [{"messageId": "%s", "to": "15550002222", "status": {"groupId": 3, "id": 5}}]}'


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    configs = [
        AccountConfig(id="acme", name="Acme", providers={"cm": {"secret": "own"}}),
        ListConfig(account="acme", number="+18885550100", provider_list_ids={"lime": "1221"}),
    ]
    environment = {"LIME_WEBHOOK_SECRET": SECRET, "EZTEXTING_WEBHOOK_SECRET": SECRET}
    directory = tmp_path_factory.mktemp("pasted")
    with running(broker, directory, "pst", configs, "ingest", "streams-1", **environment) as cluster:
        yield cluster


def wait_for(cluster: Cluster, topic: str, kind: type, mark: str) -> object:
    deadline = time.monotonic() + PATIENCE
    while True:
        found = [each for each in cluster.records(topic) if isinstance(each, kind) and mark in repr(each)]
        if found:
            return found[0]
        assert time.monotonic() < deadline, f"nothing with {mark} in {topic}"
        time.sleep(0.2)


def raw_request(cluster: Cluster, target: str) -> str:
    """The status line of the answer to a GET whose target is sent as it stands, twice on one connection."""
    lines = []
    with socket.create_connection(("127.0.0.1", cluster.ingest_port), timeout=PATIENCE) as connection:
        answers = connection.makefile("rb")
        for _ in range(2):
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            lines.append(answers.readline().decode().strip())
            length = 0
            while (header := answers.readline().strip()) != b"":
                name, _, value = header.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            answers.read(length)
    assert len(set(lines)) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("path", "mark"),
    [
        ("/api/webhook-feedbacks/infobip/?account=acme", "slash-1"),
        ("//api/webhook-feedbacks/infobip?account=acme", "slash-2"),
        ("/api//webhook-feedbacks/infobip//?account=acme", "slash-3"),
        ("/api/webhook-feedbacks/infobip?x=1&amp;account=acme", "amp-1"),
    ],
)
def test_a_slash_too_many_and_an_escaped_ampersand_are_taken(cluster: Cluster, path: str, mark: str) -> None:
    url = f"http://127.0.0.1:{cluster.ingest_port}{path}"
    assert http.post(url, content=BODY % mark.encode()).status_code == 200
    wait_for(cluster, "receipts", Receipt, mark)


@pytest.mark.parametrize("secret", [f"{SECRET}/", f"/{SECRET}", SECRET])
def test_a_secret_in_the_path_may_have_slashes_around_it(cluster: Cluster, secret: str) -> None:
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks"
    query = "account=acme?list_id=1221&mobile_number=447700900123&action=optout&keyword=PIZZA"
    assert http.get(f"{url}/lime/{secret}?{query}").status_code == 200
    assert http.get(f"{url}/lime/wrong/?{query}").status_code == 404
    assert http.post(f"{url}/cm/own/?account=acme", content=b"{}").status_code == 200
    assert http.post(f"{url}/cm/other/?account=acme", content=b"{}").status_code == 404
    message = wait_for(cluster, "inbound", InboundMessage, "447700900123")
    assert isinstance(message, InboundMessage)
    assert (message.kind, message.list_number) == ("opt_out", "1221")


def test_what_was_not_encoded_is_taken(cluster: Cluster) -> None:
    target = "/api/postbacks/tune?click_id=raw-1&payout=1.50&datetime=2026-11-20 10:15:32&name=café&sub=#s1#&x=2"
    assert raw_request(cluster, target) == "HTTP/1.1 200 OK"
    postback = wait_for(cluster, "postbacks", Postback, "raw-1")
    assert isinstance(postback, Postback)
    assert postback.parameters["datetime"] == "2026-11-20 10:15:32"
    assert (postback.parameters["name"], postback.parameters["x"], "sub" in postback.parameters) == ("café", "2", False)


@pytest.mark.parametrize(
    ("network", "click", "status"),
    [
        ("everflow", "", 200),
        ("everflow", "{sub1}", 400),
        ("everflow", "{Sub1}", 400),
        ("tune", "", 400),
        ("tune", "%25%25AFF_SUB%25%25", 400),
    ],
)
def test_a_network_that_pauses_on_errors_is_told_of_them_by_a_test_only(
    cluster: Cluster, network: str, click: str, status: int
) -> None:
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/postbacks/{network}"
    answer = http.get(f"{url}?click_id={click}&payout=4.00&transaction_id=a1b2c3")
    assert answer.status_code == status
    assert "click_id is missing" in answer.text


def test_an_old_forward_is_told_nothing_that_could_be_texted(cluster: Cluster) -> None:
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/eztexting"
    query = "PhoneNumber=2125550123&Message=STOP"
    taken = http.get(f"{url}/{SECRET}?account=acme&{query}")
    assert (taken.status_code, taken.content) == (200, b"")
    for refused in (
        http.get(f"{url}/wrong?account=acme&{query}"),
        http.get(f"{url}/{SECRET}?account=nobody&{query}"),
        http.post(f"{url}/{SECRET}?account=nobody", data={"PhoneNumber": "2125550123", "Message": "STOP"}),
    ):
        assert (refused.status_code, refused.content) == (404, b"")
    told = http.post(f"{url}/{SECRET}?account=nobody", json={"type": "inbound_text.received"})
    assert told.json()["code"] == "unknown_account"
    message = wait_for(cluster, "inbound", InboundMessage, "+12125550123")
    assert isinstance(message, InboundMessage)
    assert (message.provider, message.text) == ("eztexting", "STOP")
