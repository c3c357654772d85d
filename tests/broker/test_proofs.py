"""Who may post callbacks: proofs, addresses and limits of every provider and network, over real HTTP.

Refused requests are counted, and nothing of them is written.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from providers import NETWORKS, PROVIDERS
from schemas.records import AccountConfig, DeliveryEvent, ListConfig, RawCallback
from tests.cluster import Cluster, running
from tests.patience import PATIENCE, http

pytestmark = pytest.mark.broker

PUBLIC_URL = "https://sms.example.com"
PATH_SECRET = "path-secret-of-the-tests"
TOKEN = "postback-token-of-the-tests"
ACCOUNT = AccountConfig(
    id="acme",
    name="Acme",
    providers={
        "infobip": {"username": "acme", "password": "infobip-password"},
        "twilio": {"auth_token": "twilio-token"},
        "cm": {"secret": "cm-secret"},
        "eztexting": {"secret": "ez-secret"},
    },
    postbacks={"token": TOKEN, "token_previous": "old-token"},
)
FENCED = AccountConfig(
    id="fenced",
    name="Fenced",
    trusted_cidrs=("203.0.113.0/24", "2001:db8:1::/48"),
    trusted_postback_cidrs=("198.51.100.0/24",),
)
# A burst of 10 s at 0.3 a second: three callbacks pass.
LIMITED = AccountConfig(id="limited", name="Limited", callback_rate_limit=0.3, postbacks={"token": "limited-token"})


class Attempt(NamedTuple):
    """A request, and its expected answer."""

    name: str
    """Provider or network."""
    path: str
    code: str
    body: bytes = b""
    headers: Mapping[str, str] = {}
    status: int = 403


def callback(name: str, code: str, secret: str = "", query: str = "", **more: object) -> Attempt:
    path = f"/api/webhook-feedbacks/{name}{secret}?account=acme{query}"
    return Attempt(name, path, code, **more)  # type: ignore[arg-type]


def postback(name: str, code: str, rest: str, query: str = "click_id=c-1&payout=1", **more: object) -> Attempt:
    return Attempt(name, f"/api/postbacks/{name}{rest}{query}", code, **more)  # type: ignore[arg-type]


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def twilio(path: str, body: bytes, token: str = "twilio-token") -> dict[str, str]:
    fields = "".join(key + value for key, value in sorted(parse_qsl(body.decode(), keep_blank_values=True)))
    digest = hmac.new(token.encode(), (PUBLIC_URL + path + fields).encode(), hashlib.sha1).digest()
    return {"X-Twilio-Signature": base64.b64encode(digest).decode()}


FORM = b"MessageSid=SM1&MessageStatus=sent"
OTHER_FORM = b"MessageSid=SM2&MessageStatus=sent"
TWILIO_PATH = "/api/webhook-feedbacks/twilio?account=acme"
EZ_PATH = f"/{PATH_SECRET}"

REFUSED = [
    callback("infobip", "missing_credentials"),
    callback("infobip", "wrong_credentials", headers=basic("acme", "wrong")),
    callback("infobip", "wrong_credentials", headers=basic("other", "infobip-password")),
    callback("infobip", "wrong_credentials", headers={"Authorization": "Basic !!!"}),
    callback("infobip", "wrong_credentials", headers={"Authorization": "Bearer infobip-password"}),
    callback("twilio", "missing_signature", body=FORM),
    callback("twilio", "wrong_signature", body=FORM, headers={"X-Twilio-Signature": "nonsense"}),
    callback("twilio", "wrong_signature", body=FORM, headers=twilio(TWILIO_PATH, FORM, "another-token")),
    # replayed with another body, and for another account
    callback("twilio", "wrong_signature", body=OTHER_FORM, headers=twilio(TWILIO_PATH, FORM)),
    callback(
        "twilio", "wrong_signature", body=FORM, headers=twilio(TWILIO_PATH.replace("acme", "fenced"), FORM)
    ),
    callback("cm", "missing_secret", body=b"{}"),
    callback("cm", "wrong_secret", query="&secret=wrong", body=b"{}"),
    callback("cm", "wrong_secret", query="&secret=", body=b"{}"),
    callback("lime", "not_found", body=b"a=b", status=404),
    callback("lime", "not_found", "/wrong", body=b"a=b", status=404),
    callback("eztexting", "not_found", "/wrong", body=b"{}", status=404),
    callback("eztexting", "wrong_signature", EZ_PATH, body=b"{}", headers={"X-Signature": "bm9uc2Vuc2U="}),
    *(
        attempt
        for name in ("tune", "everflow")
        for attempt in (
            postback(name, "missing_token", "?account=acme&"),
            postback(name, "missing_token", "/acme?"),
            postback(name, "missing_token", "?account=acme&token={token}&"),
            postback(name, "wrong_token", "?account=acme&token=wrong&"),
            postback(name, "wrong_token", f"?account=acme&token={TOKEN}x&"),
            postback(name, "wrong_token", f"?account=acme&token={TOKEN}&token=wrong&"),
            postback(name, "wrong_token", "?account=acme&token=limited-token&"),
            postback(name, "wrong_token", "?token=nobody's&"),
            # a proof is asked for before anything is said about the rest
            postback(name, "wrong_token", "?account=acme&token=wrong&", "payout=1"),
            postback(name, "wrong_token", "?account=acme&token=wrong&", body=b"{no json"),
            postback(name, "wrong_token", "", "", body=b"account=acme&token=wrong&click_id=c-1"),
            postback(name, "unknown_account", "?account=nobody&", status=404),
            postback(name, "unknown_account", f"/acme?account=fenced&token={TOKEN}&", status=404),
            postback(name, "address_not_trusted", "?account=fenced&"),
        )
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("proofs")
    environment = {
        "TRACKLY_PUBLIC_URL": PUBLIC_URL,
        "LIME_WEBHOOK_SECRET": PATH_SECRET,
        "EZTEXTING_WEBHOOK_SECRET": PATH_SECRET,
        "TRACKLY_FORWARDED_ALLOW_IPS": "127.0.0.1,10.0.0.0/8",
    }
    configs = [ACCOUNT, FENCED, LIMITED, ListConfig(account="acme", number="+18005551234")]
    with running(broker, directory, "prf", configs, "ingest", "streams-1", **environment) as cluster:
        yield cluster


def send(cluster: Cluster, attempt: Attempt) -> httpx.Response:
    url = f"http://127.0.0.1:{cluster.ingest_port}{attempt.path}"
    method = "POST" if attempt.body or attempt.name in PROVIDERS else "GET"
    return http.request(method, url, content=attempt.body, headers=dict(attempt.headers))


def counted(cluster: Cluster) -> dict[tuple[str, str], float]:
    """Return callbacks by provider and answer, according to the metrics."""
    metrics = http.get(f"http://127.0.0.1:{cluster.ingest_port}/metrics").text
    return {
        (sample.labels["provider"], sample.labels["answer"]): sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "trackly_ingest_callbacks_total"
    }


def test_every_provider_and_network_is_attempted() -> None:
    assert {attempt.name for attempt in REFUSED} == {*PROVIDERS, *NETWORKS}


def test_a_proof_that_is_wrong_missing_replayed_or_malformed_is_refused_counted_and_leaves_nothing(
    cluster: Cluster,
) -> None:
    written, before = len(cluster.records("raw")), counted(cluster)
    for attempt in REFUSED:
        answer = send(cluster, attempt)
        assert (answer.status_code, answer.json()["code"]) == (attempt.status, attempt.code), attempt
        assert TOKEN not in answer.text
    assert len(cluster.records("raw")) == written
    after = counted(cluster)
    grown = {key: after[key] - before.get(key, 0.0) for key in after if after[key] != before.get(key)}
    expected: dict[tuple[str, str], float] = {}
    for attempt in REFUSED:
        expected[attempt.name, attempt.code] = expected.get((attempt.name, attempt.code), 0) + 1
    assert grown == expected


ACCEPTED = [
    callback("infobip", "stored", headers=basic("acme", "infobip-password"), body=b"{}"),
    callback("twilio", "stored", body=FORM, headers=twilio(TWILIO_PATH, FORM)),
    callback("cm", "stored", query="&secret=cm-secret", body=b"{}"),
    callback("lime", "stored", f"/{PATH_SECRET}", body=b"a=b"),
    callback("eztexting", "stored", EZ_PATH, body=b"{}"),
    *(
        postback(name, "stored", rest)
        for name in ("tune", "everflow")
        for rest in (f"?account=acme&token={TOKEN}&", "/acme?token=old-token&", f"?token={TOKEN}&", "?")
    ),
]


@pytest.mark.parametrize("attempt", ACCEPTED, ids=lambda attempt: f"{attempt.name} {attempt.path[-30:]}")
def test_a_right_proof_is_taken(cluster: Cluster, attempt: Attempt) -> None:
    assert send(cluster, attempt).status_code == 200


def test_the_same_callback_posted_again_changes_nothing(cluster: Cluster) -> None:
    status = {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET"}
    report = {"messageId": "again-1", "to": "15550400001", "status": status, "doneAt": "2026-11-20T10:15:32.120+0000"}
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
    headers = basic("acme", "infobip-password")
    for _ in range(3):
        assert http.post(url, json={"results": [report]}, headers=headers).status_code == 200
    assert http.post(url, json={"results": [{**report, "messageId": "again-2"}]}, headers=headers).status_code == 200
    deadline = time.monotonic() + PATIENCE
    while True:
        ids = [event.message_id for event in cluster.records("delivery") if isinstance(event, DeliveryEvent)]
        if "again-2" in ids:
            break
        assert time.monotonic() < deadline, ids
        time.sleep(0.2)
    assert ids.count("again-1") == 1


# Addresses


@pytest.mark.parametrize(
    ("forwarded", "is_trusted", "stored"),
    [
        (["203.0.113.7"], True, "203.0.113.7"),
        (["203.0.113.7:51234"], True, "203.0.113.7"),
        (["::ffff:203.0.113.7"], True, "203.0.113.7"),
        (["2001:DB8:1::7"], True, "2001:db8:1::7"),
        (["[2001:db8:1::7]:443"], True, "2001:db8:1::7"),
        (["203.0.113.7, 10.1.2.3"], True, "203.0.113.7"),
        (["203.0.113.7", "10.1.2.3"], True, "203.0.113.7"),
        (["198.51.100.1, 203.0.113.7"], True, "203.0.113.7"),
        (["203.0.113.7, 198.51.100.1"], False, ""),
        (["203.0.113.7, unknown"], False, ""),
        (["unknown"], False, ""),
        (["203.0.113.7", "198.51.100.1"], False, ""),
        (["2001:db8:2::7"], False, ""),
        (["10.1.2.3"], False, ""),
        ([], False, ""),
    ],
)
def test_an_account_s_callbacks_come_from_where_it_trusts(
    cluster: Cluster, forwarded: list[str], is_trusted: bool, stored: str
) -> None:
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=fenced"
    marker = f"{forwarded}"
    headers = [("X-Forwarded-For", value) for value in forwarded] + [("X-Marker", marker)]
    answer = http.post(url, content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["code"] if not is_trusted else "") == (
        (200, "") if is_trusted else (403, "address_not_trusted")
    )
    raw = [record for record in cluster.records("raw") if isinstance(record, RawCallback)]
    assert [r.remote_ip for r in raw if r.headers.get("x-marker") == marker] == ([stored] if is_trusted else [])


def test_postbacks_have_a_list_of_addresses_of_their_own(cluster: Cluster) -> None:
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/postbacks/tune/fenced?click_id=c-1&payout=1"
    statuses = [
        http.get(url, headers={"X-Forwarded-For": address}).status_code for address in ("198.51.100.7", "203.0.113.7")
    ]
    assert statuses == [200, 403]


# Limits


def test_a_limit_answers_429_and_counts_only_what_proves_itself(cluster: Cluster) -> None:
    base = f"http://127.0.0.1:{cluster.ingest_port}"
    good = f"{base}/api/postbacks/tune?token=limited-token&click_id=limited&payout=1"
    forged = f"{base}/api/postbacks/tune?account=limited&token=wrong&click_id=limited&payout=1"
    assert {http.get(forged).status_code for _ in range(20)} == {403}
    assert [http.get(good).status_code for _ in range(3)] == [200, 200, 200]
    # A fourth may pass when the machine is slow, for the bucket fills again; not fifty in a row.
    infobip = f"{base}/api/webhook-feedbacks/infobip?account=limited"
    answers = (http.post(infobip, content=b"{}") for _ in range(50))
    refused = next(answer for answer in answers if answer.status_code != 200)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 4
    time.sleep(int(refused.headers["Retry-After"]))
    assert http.get(good).status_code == 200


# Bounds


@pytest.mark.parametrize(
    ("attempt", "status"),
    [
        (postback("tune", "query_too_long", "?x=" + "x" * 40_000 + "&"), 414),
        (callback("infobip", "query_too_long", query="&x=" + "x" * 40_000), 414),
        (postback("tune", "body_too_large", "?", body=b"x=" + b"y" * 70_000), 413),
    ],
    ids=lambda value: value.code if isinstance(value, Attempt) else "",
)
def test_queries_and_bodies_are_bounded(cluster: Cluster, attempt: Attempt, status: int) -> None:
    answer = send(cluster, attempt)
    assert (answer.status_code, answer.json()["code"]) == (status, attempt.code)


def test_a_network_that_is_not_known_is_not_found(cluster: Cluster) -> None:
    answer = http.get(f"http://127.0.0.1:{cluster.ingest_port}/api/postbacks/nobody?click_id=c-1")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    answer = http.put(f"http://127.0.0.1:{cluster.ingest_port}/api/postbacks/tune?click_id=c-1")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
