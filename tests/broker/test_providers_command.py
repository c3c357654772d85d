"""`trackly providers test` posts callbacks of each provider to a running ingest and follows them to their results."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from operations.samples import SOURCES, TOPICS
from providers import NETWORKS
from schemas.records import AccountConfig, CallbacksSeen, ListConfig
from tests.cluster import Cluster, running
from tests.commands import Trackly
from tests.patience import PATIENCE, http

pytestmark = pytest.mark.broker

ENVIRONMENT = {
    "LIME_WEBHOOK_SECRET": "lime/secret of the tests",
    "EZTEXTING_WEBHOOK_SECRET": "eztexting-secret",
    "ACME_SECRET": "päss&word=?",
    "TRACKLY_PUBLIC_URL": "https://sms.example.com",
}
ACCOUNTS = [
    AccountConfig(
        id="acme",
        name="Acme",
        providers={
            "cm": {"secret": "env:ACME_SECRET"},
            "eztexting": {"secret": "env:ACME_SECRET"},
            "infobip": {
                "username": "acme",
                "password": "env:ACME_SECRET",
                "header_name": "X-Callback-Key",
                "header_value": "k-1",
                "secret": "env:ACME_SECRET",
            },
            "twilio": {"auth_token": "env:ACME_SECRET"},
        },
        postbacks={"token": "env:ACME_SECRET"},
    ),
    ListConfig(account="acme", number="+18005551234", provider_list_ids={"lime": "1221"}),
    AccountConfig(id="bare", name="Bare"),
    AccountConfig(id="counted", name="Counted", providers={"cm": {"secret": "env:ACME_SECRET"}}),
]


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("providers")
    with running(broker, directory, "prov", ACCOUNTS, "ingest", "streams-1", **ENVIRONMENT) as cluster:
        yield cluster


@pytest.fixture
def environment() -> dict[str, str]:
    """Return variables that a test changes for its commands."""
    return {}


@pytest.fixture
def trackly(cluster: Cluster, environment: dict[str, str]) -> Trackly:
    """Runs `trackly providers test` against the cluster's ingest."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        url = f"http://127.0.0.1:{cluster.ingest_port}"
        patient = ("--timeout", f"{PATIENCE - 60:g}")  # the command itself must end before it is ended
        return cluster.trackly("providers", "test", *patient, *arguments, "--url", url, **environment)

    return run


def lines_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_kind_that_a_provider_sends_comes_out_where_it_belongs(trackly: Trackly, name: str) -> None:
    done = trackly(name, "--account", "acme", "--yes", "--json")
    lines = lines_of(done)
    assert [(line["status"], line["topic"]) for line in lines] == [(200, TOPICS[line["kind"]]) for line in lines]
    assert {line["kind"] for line in lines} >= ({"conversion"} if name in NETWORKS else {"reply", "opt_out"})
    assert done.returncode == 0, done.stderr
    assert not any(secret in done.stdout + done.stderr for secret in ENVIRONMENT.values() if "://" not in secret)


def test_nothing_is_posted_before_somebody_has_agreed(trackly: Trackly, cluster: Cluster) -> None:
    before = len(cluster.records("raw"))
    done = trackly("cm", "--account", "acme")
    assert (done.returncode, done.stdout) == (2, "")
    assert "+12025550199" in done.stderr
    assert "pass --yes" in done.stderr
    assert len(cluster.records("raw")) == before


def test_a_callback_that_is_refused_fails_and_says_what_to_do(trackly: Trackly) -> None:
    done = trackly("twilio", "--account", "bare", "--yes", "--json")
    assert done.returncode == 1
    assert {(line["status"], line["code"], line["ok"]) for line in lines_of(done)} == {(403, "no_credentials", False)}
    assert "trackly apply" in done.stderr


def test_a_wrong_secret_in_the_path_is_no_path_and_is_hinted_at(trackly: Trackly, environment: dict[str, str]) -> None:
    environment["LIME_WEBHOOK_SECRET"] = "another-one"
    done = trackly("lime", "--account", "acme", "--yes")
    assert done.returncode == 1
    assert "404 not_found" in done.stdout
    assert "to the same value" in done.stderr


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("cm", "wrong_secret"),
        ("infobip", "wrong_credentials"),
        ("twilio", "wrong_signature"),
        ("tune", "wrong_token"),
    ],
)
def test_a_secret_that_differs_from_ingest_s_is_hinted_at(
    trackly: Trackly, environment: dict[str, str], name: str, code: str
) -> None:
    environment["ACME_SECRET"] = "another secret"
    done = trackly(name, "--account", "acme", "--yes")
    assert done.returncode == 1
    assert f"403 {code}" in done.stdout
    assert "ngest has other credentials" in done.stderr


def test_what_is_stored_and_comes_out_nowhere_fails(trackly: Trackly, cluster: Cluster) -> None:
    cluster.stop("streams-1")
    done = trackly("cm", "--account", "acme", "--yes", "--timeout", "2")
    cluster.start("streams-1")
    cluster.wait_ready()
    assert done.returncode == 1
    assert (done.stdout.count("200"), done.stdout.count("FAILED")) == (4, 4)
    assert "does `trackly streams` run" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["cm", "--account", "nobody", "--yes"], "There is no account 'nobody'. Known are acme, bare, counted."),
        (["eztexting", "--account", "acme", "--yes"], "EZTEXTING_WEBHOOK_SECRET is not set"),
    ],
)
def test_what_cannot_be_tried_is_a_sentence(
    trackly: Trackly, environment: dict[str, str], arguments: list[str], told: str
) -> None:
    environment["EZTEXTING_WEBHOOK_SECRET"] = ""
    done = trackly(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr


def test_what_ingest_saw_of_an_account_is_written_a_while_later(cluster: Cluster, trackly: Trackly) -> None:
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/cm?account=counted&secret=wrong"
    assert http.post(url, json={}).status_code == 403
    assert trackly("cm", "--account", "counted", "--yes").returncode == 0
    deadline = time.monotonic() + PATIENCE
    while True:
        records = [r for r in cluster.records("callbacks_seen") if isinstance(r, CallbacksSeen)]
        newest = {(r.account, r.provider): r for r in records}.get(("counted", "cm"))
        # What was refused and what was taken may come to be written one after the other.
        if newest is not None and newest.last_refused_at and (newest.last_taken_at or 0) >= newest.last_refused_at:
            break
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert newest.last_refusal == "wrong_secret"
    assert newest.refused["wrong_secret"] == 1
