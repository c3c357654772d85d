"""No secret of a callback is anywhere after a run: in no topic, log, metric, answer, or page."""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest

from bus.embedded.broker import free_port
from bus.settings import BusSettings
from operations.samples import SOURCES, TOPICS, Occasion
from providers import PROVIDERS
from providers.base import CallbackRequest
from schemas.records import AccountConfig, EndpointConfig, ListConfig
from tests.cluster import Cluster
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker

PATH_SECRETS = {"lime": "lime/path sécret", "eztexting": "eztexting-path-secret"}
CREDENTIALS = {
    "cm": {"secret": "cm&secret=of acme"},
    "eztexting": {"secret": "eztexting-signing-secret"},
    "infobip": {
        "username": "acme",
        "password": "infobip-password-of-acme",
        "header_name": "X-Callback-Key",
        "header_value": "infobip-header-value",
        "secret": "infobip/secret of acme",
    },
    "lime": {"path_secret": PATH_SECRETS["lime"]},
    "twilio": {"auth_token": "twilio-token-of-acme"},
}
SECRET_KEYS = ("secret", "password", "header_value", "auth_token")
WRONG = "guessed/wröng secret"
COOKIE = "session-of-somebody"
WEBHOOK_SECRET = "webhook-signing-secret"

VARIABLES = {
    f"{name}_{key}".upper(): value for name, credentials in CREDENTIALS.items() for key, value in credentials.items()
}
"""The accounts' secrets by environment variable: their topic holds references, so that it is searched too."""
ENVIRONMENT = {
    **VARIABLES,
    "LIME_WEBHOOK_SECRET": "lime-secret-of-all-others",
    "EZTEXTING_WEBHOOK_SECRET": PATH_SECRETS["eztexting"],
    "WEBHOOK": WEBHOOK_SECRET,
    "TRACKLY_RETRY_SCHEDULE": "1h",
}
CONFIGS = [
    AccountConfig(
        id="acme",
        name="Acme",
        providers={
            name: {key: f"env:{name}_{key}".upper().replace("ENV:", "env:") for key in credentials}
            for name, credentials in CREDENTIALS.items()
        },
    ),
    ListConfig(account="acme", number="+18005551234"),
    # Nobody listens there: what is kept and logged of webhooks that fail is searched too.
    EndpointConfig(account="acme", id="crm", url="http://127.0.0.1:9/", secret="env:WEBHOOK", events=("delivery",)),
]
OCCASION = Occasion("+12025550199", "+18005551234", "1221", datetime.now(UTC))


@dataclass
class Run:
    """A run of the services: the answers, and every place to which something may have been written."""

    answers: list[httpx.Response] = field(default_factory=list)
    places: dict[str, bytes] = field(default_factory=dict)
    proofs: set[str] = field(default_factory=set)
    markers: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def run(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = tmp_path_factory.mktemp("secrets")
    settings = BusSettings(
        bootstrap_servers=broker, topic_prefix=f"sec{free_port()}.", partitions=4, data_dir=directory,
        retry_schedule=("1h",),
    )  # fmt: skip
    run = Run()
    with Cluster(settings, directory, **ENVIRONMENT) as cluster:
        asyncio.run(cluster.configure(CONFIGS))
        cluster.start("ingest", "streams-1", "sinks-1")
        cluster.wait_ready()
        with httpx.Client(timeout=PATIENCE) as http:
            base = f"http://127.0.0.1:{cluster.ingest_port}"
            for name in sorted(PROVIDERS):
                _post_samples(run, http, base, name)
                _post_errors(run, http, base, name)
            _wait_until_through(run, cluster)
            for name, service in cluster.services.items():
                for page in ("livez", "readyz", "metrics"):
                    url = f"http://127.0.0.1:{service.health_port}/{page}"
                    run.places[f"{page} of {name}"] = http.get(url).content
        for name in list(cluster.services):
            cluster.stop(name)
        for topic in settings.catalogue:
            run.places[f"topic {topic}"] = b"\n".join(map(_bytes_of, cluster.stored(topic)))
        for log in directory.glob("*.log"):
            run.places[f"log {log.name}"] = log.read_bytes()
    for n, answer in enumerate(run.answers):
        run.places[f"answer {n}"] = answer.content + repr(answer.headers.raw).encode()
    return run


def _post_samples(run: Run, http: httpx.Client, base: str, name: str) -> None:
    """Post samples unchanged, damaged, and with a wrong secret."""
    for right in (True, False):
        credentials = CREDENTIALS[name] if right else {**CREDENTIALS[name], **dict.fromkeys(SECRET_KEYS, WRONG)}
        path_secret = PATH_SECRETS.get(name) if right else PATH_SECRETS.get(name) and WRONG
        url = _url(base, name, path_secret)
        for sample in SOURCES[name].samples(f"mark{name}", OCCASION):
            request = SOURCES[name].request(sample, url, credentials)
            run.answers.append(_send(run, http, request))
            if right:
                run.markers[sample.marker] = TOPICS[sample.kind]
                run.answers.append(_send(run, http, request, body=request.body[: len(request.body) // 2]))


def _post_errors(run: Run, http: httpx.Client, base: str, name: str) -> None:
    """Post requests that are refused whatever their secret."""
    for secret in (CREDENTIALS[name].get("secret", WRONG), WRONG):
        for url in (_url(base, name, secret), f"{_url(base, name, None)}&secret={quote(secret, safe='')}"):
            for body in (b"{}", b"<broken", b"\xff" * 100, b" " * (5 << 20)):
                run.answers += [http.request(method, url, content=body) for method in ("POST", "GET", "PUT")]
    run.answers.append(http.post(f"{base}/api/webhook-feedbacks/{name}?account=nobody&secret={quote(WRONG)}"))


def _send(run: Run, http: httpx.Client, request: CallbackRequest, body: bytes | None = None) -> httpx.Response:
    """Send it as through a proxy that writes the URL into headers of its own."""
    run.proofs |= {value for header, value in request.headers.items() if header != "content-type"}
    headers = {**request.headers, "cookie": COOKIE, "x-original-url": request.url, "referer": request.url}
    raw_headers = [(header.encode(), value.encode("latin-1")) for header, value in headers.items()]
    content = request.body if body is None else body
    return http.request(request.method, request.url, content=content, headers=raw_headers)


def _url(base: str, name: str, path_secret: str | None) -> str:
    path = "" if path_secret is None else "/" + quote(path_secret, safe="")
    return f"{base}/api/webhook-feedbacks/{name}{path}?account=acme"


def _wait_until_through(run: Run, cluster: Cluster) -> None:
    """Wait until every sample has its result, and a failed webhook waits for its retry."""
    deadline = time.monotonic() + PATIENCE
    while True:
        stored = {topic: b"".join(map(_bytes_of, cluster.stored(topic))) for topic in set(TOPICS.values())}
        missing = [marker for marker, topic in run.markers.items() if marker.encode() not in stored[topic]]
        if not missing and cluster.stored("webhooks_retry.1h"):
            return
        assert time.monotonic() < deadline, f"never came out: {missing}"
        time.sleep(0.1)


def _bytes_of(record: Any) -> bytes:
    headers = b" ".join(name.encode() + b"=" + value for name, value in record.headers)
    return b" ".join((record.key or b"", record.value or b"", headers))


def _spellings(secret: str) -> set[bytes]:
    written = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
    return {text.encode(charset) for text in written for charset in ("utf-8", "latin-1")} | {
        base64.b64encode(f"acme:{secret}".encode())
    }


SECRETS = {
    **{f"{name} {key}": given[key] for name, given in CREDENTIALS.items() for key in SECRET_KEYS if key in given},
    **{f"{name} path": secret for name, secret in PATH_SECRETS.items()},
    "wrong": WRONG,
    "cookie": COOKIE,
    "webhook": WEBHOOK_SECRET,
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_nowhere(run: Run, name: str) -> None:
    found = [place for place, content in run.places.items() for each in _spellings(SECRETS[name]) if each in content]
    assert found == []


def test_no_signature_and_no_password_is_anywhere(run: Run) -> None:
    assert len(run.proofs) > 5
    found = [place for place, content in run.places.items() for proof in run.proofs if proof.encode() in content]
    assert found == []


def test_every_place_has_something_to_look_at(run: Run) -> None:
    for place in ("raw", "rejected", "receipts", "inbound", "clicks", "delivery", "webhooks_retry.1h"):
        assert run.places[f"topic {place}"], place
    for service in ("ingest", "streams-1", "sinks-1"):
        assert b"trackly" in run.places[f"metrics of {service}"]
        assert f"log {service}.log" in run.places
    assert {answer.status_code for answer in run.answers} == {200, 403, 404, 405, 413}


def test_what_is_stored_of_a_callback_shows_that_it_had_a_secret(run: Run) -> None:
    stored = run.places["topic raw"]
    for shown in (b"/api/webhook-feedbacks/lime/***", b"/api/webhook-feedbacks/cm/***", b"secret=***"):
        assert shown in stored
