"""Bad input gets a clear answer or a record with the reason, and never stops a partition."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote, urlencode

import httpx
import pytest

from schemas.records import AccountConfig, DeliveryEvent, LinkClick, ListConfig, Receipt, RejectedRecord
from tests.cluster import CODEC, Cluster, running
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker

INFOBIP = "/api/webhook-feedbacks/infobip?account=acme"
TWILIO = "/api/webhook-feedbacks/twilio?account=acme"
PUBLIC_URL = "https://sms.example.com"
TOKEN = "twilio-token-of-the-tests"
PATH_SECRET = "path-secret-of-the-tests"
BASIC = {"username": "basic", "password": "password-of-basic"}
OWN_SECRETS = {"secret": "new/secret of walled", "secret_previous": "old-secret-of-walled"}


def report(message_id: str | None = "m-1", to: object = "15551230001", **changes: object) -> dict[str, object]:
    status = {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET"}
    body: dict[str, object] = {"to": to, "status": status, "doneAt": "2026-11-20T10:15:32.120+0000", **changes}
    return body if message_id is None else {"messageId": message_id, **body}


def infobip(*results: object) -> bytes:
    return json.dumps({"results": results}).encode()


def signature(path: str, body: bytes) -> str:
    fields = "".join(k + v for k, v in sorted(parse_qsl(body.decode(), keep_blank_values=True)))
    digest = hmac.new(TOKEN.encode(), (PUBLIC_URL + path + fields).encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("bad-input")
    configs = [
        AccountConfig(id="acme", name="Acme", providers={"twilio": {"auth_token": TOKEN}}),
        AccountConfig(id="fenced", name="Fenced", trusted_cidrs=("203.0.113.0/24",)),
        AccountConfig(id="walled", name="Walled", providers=dict.fromkeys(("infobip", "cm"), OWN_SECRETS)),
        AccountConfig(id="basic", name="Basic", providers={"infobip": BASIC}),
        AccountConfig(id="lost", name="Lost", providers={"twilio": {"auth_token": "env:NOBODY_SET_THIS"}}),
        ListConfig(account="acme", number="+18005551234"),
    ]
    environment = {"TRACKLY_PUBLIC_URL": PUBLIC_URL, "LIME_WEBHOOK_SECRET": PATH_SECRET}
    with running(broker, directory, "bad", configs, "ingest", "streams-1", **environment) as cluster:
        yield cluster


@pytest.fixture
def http(cluster: Cluster) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{cluster.ingest_port}", timeout=PATIENCE) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/api/webhook-feedbacks/infobip?account=nobody", b"{}", 404, "unknown_account"),
        ("POST", "/api/webhook-feedbacks/infobip", b"{}", 404, "unknown_account"),
        ("POST", "/api/webhook-feedbacks/infobip?account=acme&account=acme", b"{}", 404, "unknown_account"),
        ("POST", "/api/webhook-feedbacks/infobip?account=../../etc", b"{}", 404, "unknown_account"),
        ("POST", "/api/webhook-feedbacks/nobody?account=acme", b"{}", 404, "not_found"),
        ("POST", "/somewhere/else", b"{}", 404, "not_found"),
        ("POST", "/api/webhook-feedbacks/lime?account=acme", b"a=b", 404, "not_found"),
        ("POST", "/api/webhook-feedbacks/lime/wrong?account=acme", b"a=b", 404, "not_found"),
        ("POST", "/api/webhook-feedbacks/eztexting/anything?account=acme", b"{}", 404, "not_found"),
        ("POST", "/api/webhook-feedbacks/infobip/anything?account=acme", b"{}", 404, "not_found"),
        ("POST", "/api/webhook-feedbacks/twilio/anything?account=acme", b"a=b", 404, "not_found"),
        ("POST", "/api/webhook-feedbacks/infobip/wrong?account=walled", b"{}", 404, "not_found"),
        ("POST", "/api/webhook-feedbacks/infobip?account=walled", b"{}", 403, "missing_secret"),
        ("POST", "/api/webhook-feedbacks/infobip?account=walled&secret=wrong", b"{}", 403, "wrong_secret"),
        ("POST", "/api/webhook-feedbacks/cm/wrong?account=walled", b"{}", 404, "not_found"),
        ("PUT", INFOBIP, b"{}", 405, "method_not_allowed"),
        ("DELETE", TWILIO, b"", 405, "method_not_allowed"),
        ("POST", INFOBIP, b" " * (5 << 20), 413, "body_too_large"),
        ("POST", TWILIO, b"MessageSid=SM1&MessageStatus=sent", 403, "missing_signature"),
        ("POST", "/api/webhook-feedbacks/infobip?account=fenced", b"{}", 403, "address_not_trusted"),
        ("POST", "/api/webhook-feedbacks/twilio?account=lost", b"a=b", 503, "credentials_unavailable"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_a_code(
    http: httpx.Client, method: str, path: str, body: bytes, status: int, code: str
) -> None:
    answer = http.request(method, path, content=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"error", "code"}


def test_a_body_without_a_length_is_bounded_too(http: httpx.Client) -> None:
    answer = http.post(INFOBIP, content=(b" " * 65_536 for _ in range(80)))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


SENT = b"MessageSid=SM1&MessageStatus=sent"


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        (TWILIO, {}, "missing_signature"),
        (TWILIO, {"X-Twilio-Signature": ""}, "missing_signature"),
        (TWILIO, {"X-Twilio-Signature": "not base64!"}, "wrong_signature"),
        (TWILIO, {"X-Twilio-Signature": signature(TWILIO, SENT + b"!")}, "wrong_signature"),
        # Replayed: the proof of the same body for another account.
        (TWILIO, {"X-Twilio-Signature": signature(TWILIO.replace("acme", "beta"), SENT)}, "wrong_signature"),
        ("/api/webhook-feedbacks/cm?account=walled", {}, "missing_secret"),
        ("/api/webhook-feedbacks/cm?account=walled&secret=guess", {}, "wrong_secret"),
        ("/api/webhook-feedbacks/cm/guess?account=walled", {}, "not_found"),
        ("/api/webhook-feedbacks/infobip?account=basic", {}, "missing_credentials"),
        ("/api/webhook-feedbacks/infobip?account=basic", {"Authorization": "Basic !"}, "wrong_credentials"),
        ("/api/webhook-feedbacks/infobip?account=basic", {"Authorization": "Bearer x"}, "wrong_credentials"),
        ("/api/webhook-feedbacks/lime/guess?account=acme", {}, "not_found"),
    ],
)
def test_without_its_proof_a_callback_is_refused_counted_and_not_stored(
    cluster: Cluster, http: httpx.Client, path: str, headers: dict[str, str], code: str
) -> None:
    provider = path.split("/")[3].partition("?")[0]
    line = f'trackly_ingest_callbacks_total{{answer="{code}",provider="{provider}"}} '

    def counted() -> float:
        return next((float(each.split()[-1]) for each in http.get("/metrics").text.splitlines() if line in each), 0)

    stored, before = len(cluster.stored("raw")), counted()
    answer = http.post(path, content=SENT, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (404 if code == "not_found" else 403, code)
    assert (len(cluster.stored("raw")), counted()) == (stored, before + 1)


def rejected(cluster: Cluster) -> list[RejectedRecord]:
    records = [record for record in cluster.records("rejected") if isinstance(record, RejectedRecord)]
    return sorted(records, key=lambda record: (record.rejected_at, record.item_index or 0))


def rejected_since(cluster: Cluster, before: list[RejectedRecord], count: int, marker: str) -> list[RejectedRecord]:
    """Wait for this many new rejected records, once the report with this id, posted last, has come through."""
    known = {record.event_id for record in before}
    deadline = time.monotonic() + PATIENCE
    while True:
        new = [record for record in rejected(cluster) if record.event_id not in known]
        through = any(isinstance(e, DeliveryEvent) and e.message_id == marker for e in cluster.records("delivery"))
        if through and len(new) >= count:
            return new
        assert time.monotonic() < deadline, f"marker came through: {through}; rejected: {new}{cluster.ended()}"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("marker", "body", "reasons"),
    [
        ("after-text", b"Invalid", ["not_json"]),
        ("after-nothing", b"", ["not_json"]),
        ("after-utf16", "{}".encode("utf-16"), ["missing_field"]),
        ("after-utf16-text", "Invalid".encode("utf-16"), ["not_json"]),
        ("after-utf8", b'{"results": [{"messageId": "\xff"}]}', ["not_json"]),
        ("after-array", b"[]", ["missing_field"]),
        ("after-other-key", b'{"deliveryReport": []}', ["missing_field"]),
        ("after-string", b'{"results": "none"}', ["missing_field"]),
        ("after-no-id", infobip(report(None)), ["missing_field"]),
        ("after-group", infobip(report(status={"groupName": "UNEXPECTED"})), ["unknown_status"]),
    ],
)
def test_what_makes_no_sense_is_answered_200_and_kept_with_the_reason(
    cluster: Cluster, http: httpx.Client, marker: str, body: bytes, reasons: list[str]
) -> None:
    before = rejected(cluster)
    assert http.post(INFOBIP, content=body).status_code == 200
    assert http.post(INFOBIP, content=infobip(report(marker))).status_code == 200
    new = rejected_since(cluster, before, len(reasons), marker)
    assert [record.reason for record in new] == reasons
    assert all(record.account == "acme" and record.provider == "infobip" and record.error for record in new)
    assert all(record.item if record.item_index is not None else record.source_value for record in new)


def test_a_malformed_item_is_rejected_alone(cluster: Cluster, http: httpx.Client) -> None:
    before = rejected(cluster)
    batch = infobip(report("sibling-1"), report(None), 7, report("sibling-2"))
    assert http.post(INFOBIP, content=batch).status_code == 200
    http.post(INFOBIP, content=infobip(report("after-batch")))
    new = rejected_since(cluster, before, 2, "after-batch")
    delivered = {e.message_id for e in cluster.records("delivery") if isinstance(e, DeliveryEvent)}
    assert {"sibling-1", "sibling-2"} <= delivered
    assert [record.item_index for record in new] == [1, 2]


@pytest.mark.parametrize(("message_id", "to"), [("words", "not a number"), ("digits", "1" * 40), ("empty", "")])
def test_a_recipient_that_is_no_number_costs_only_the_number(
    cluster: Cluster, http: httpx.Client, message_id: str, to: str
) -> None:
    assert http.post(INFOBIP, content=infobip(report(message_id, to=to))).status_code == 200
    [receipt] = cluster.wait_for("receipts", Receipt, f"provider_message_id='{message_id}'")
    assert (receipt.to, receipt.status) == (None, "delivered")


def test_a_batch_of_2000_goes_through_in_order(cluster: Cluster, http: httpx.Client) -> None:
    # One recipient, so that all reports are in one partition.
    reports = [report(f"big-{n}", to="15559990000", doneAt="2026-11-20T10:15:32.120+0000") for n in range(2_000)]
    assert http.post(INFOBIP, content=infobip(*reports)).status_code == 200
    deadline = time.monotonic() + PATIENCE
    while True:
        got = [r.provider_message_id for r in cluster.records("receipts") if isinstance(r, Receipt)]
        got = [message_id for message_id in got if message_id.startswith("big-")]
        if len(got) == 2_000:
            break
        assert time.monotonic() < deadline, f"{len(got)} of 2000 came through{cluster.ended()}"
        time.sleep(0.1)
    assert got == [f"big-{n}" for n in range(2_000)]


def test_the_largest_body_that_is_taken_goes_through(cluster: Cluster, http: httpx.Client) -> None:
    padding = "x" * 1_880
    reports = [report(f"wide-{n}", to="15559990001", callbackData=padding) for n in range(2_000)]
    body = infobip(*reports)
    assert 3.8 < len(body) / (1 << 20) < 4
    assert http.post(INFOBIP, content=body).status_code == 200
    deadline = time.monotonic() + PATIENCE
    while sum(isinstance(r, Receipt) and r.to == "+15559990001" for r in cluster.records("receipts")) < 2_000:
        assert time.monotonic() < deadline, f"the reports never came through{cluster.ended()}"
        time.sleep(0.1)


def test_the_largest_body_is_kept_whole_when_it_makes_no_sense(cluster: Cluster, http: httpx.Client) -> None:
    before = rejected(cluster)
    assert http.post(INFOBIP, content=b"x" * (4 << 20)).status_code == 200
    http.post(INFOBIP, content=infobip(report("after-large")))
    (record,) = rejected_since(cluster, before, 1, "after-large")
    assert record.source_value is not None
    assert len(record.source_value) > 4 << 20


def test_an_unknown_twilio_status_is_rejected_by_name(cluster: Cluster, http: httpx.Client) -> None:
    before = rejected(cluster)
    body = urlencode({"MessageSid": "SM1", "MessageStatus": "huh", "To": "+15551230001"}).encode()
    headers = {"X-Twilio-Signature": signature(TWILIO, body), "Content-Type": "application/x-www-form-urlencoded"}
    assert http.post(TWILIO, content=body, headers=headers).status_code == 200
    http.post(INFOBIP, content=infobip(report("after-huh")))
    assert ["huh" in record.error for record in rejected_since(cluster, before, 1, "after-huh")] == [True]


@pytest.mark.parametrize("path", ["lime/wrong?account=acme", "infobip/wrong?account=walled", "cm/wrong?account=acme"])
def test_a_wrong_path_secret_is_answered_like_an_unknown_path(http: httpx.Client, path: str) -> None:
    wrong = http.post(f"/api/webhook-feedbacks/{path}", content=b"a=b")
    unknown = http.post("/nothing/here", content=b"a=b")
    assert (wrong.status_code, wrong.content, wrong.headers) == (unknown.status_code, unknown.content, unknown.headers)


@pytest.mark.parametrize("provider", ["infobip", "cm"])
@pytest.mark.parametrize("secret", OWN_SECRETS.values())
def test_an_account_s_own_secrets_are_right_in_path_and_query(http: httpx.Client, provider: str, secret: str) -> None:
    quoted = quote(secret, safe="")
    for path in (f"{provider}/{quoted}?account=walled", f"{provider}?account=walled&secret={quoted}"):
        assert http.post(f"/api/webhook-feedbacks/{path}", content=b"{}").status_code == 200


def test_a_click_goes_to_its_recipient_s_partition(cluster: Cluster, http: httpx.Client) -> None:
    click = {
        "notificationType": "CLICKED",
        "recipient": "15551230009",
        "url": "https://shop.example",
        "messageId": "c-1",
    }
    assert http.post(INFOBIP, content=json.dumps(click).encode()).status_code == 200
    deadline = time.monotonic() + PATIENCE
    while not (found := cluster.stored("clicks")):
        assert time.monotonic() < deadline, f"the click never came through{cluster.ended()}"
        time.sleep(0.1)
    (record,) = found
    assert record.key == b"acme:+15551230009"
    clicked = CODEC.decode(record.value)
    assert isinstance(clicked, LinkClick)
    assert (clicked.to, clicked.provider_message_id, clicked.url) == ("+15551230009", "c-1", "https://shop.example")
