"""The answers of `check` are on Kafka before they are given, and then in the evidence about each number."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.secrets import new_key
from schemas.records import AccountConfig, ContactAnswers, ListConfig
from tests.broker.test_console import ONE, Api, delete_topic
from tests.cluster import CODEC, Cluster, running
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker

NUMBER = "+12125550123"
CONFIGS = [AccountConfig(id="acme", name="Acme", keeps_answers=True), ListConfig(account="acme", number=ONE)]


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("answers")
    environment = {
        "DATABASE_URL": f"sqlite:///{directory / 'trackly.db'}",
        "TRACKLY_EVIDENCE_KEY": new_key(),
        "TRACKLY_PSEUDONYM_KEY": "a secret of the tests",
        "TRACKLY_API_TIMEOUT": "3",
    }
    with running(broker, directory, "kept", CONFIGS, "streams-1", "console-1", "read-model", **environment) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def api(cluster: Cluster) -> Api:
    api = Api(cluster, asyncio.run(cluster.make_key("acme")))
    api.wait_for(200, NUMBER)
    return api


def answers_in_evidence(cluster: Cluster, file: Path, count: int) -> list[dict[str, Any]]:
    """Wait until the evidence has this many answers, and return them."""
    deadline = time.monotonic() + PATIENCE
    while True:
        done = cluster.trackly("contact", "evidence", "acme", NUMBER, "--out", str(file))
        assert done.returncode == 0, done.stderr
        steps = json.loads(file.read_text("utf-8"))["evidence"]["steps"]
        found = [each for each in steps if each["kind"] == "answer"]
        if len(found) == count:
            return found
        assert time.monotonic() < deadline, cluster.standstill()
        time.sleep(0.2)


def test_an_answer_is_found_with_the_bytes_that_were_given_and_goes_with_an_erasure(
    cluster: Cluster, api: Api, tmp_path: Path
) -> None:
    given = api.check(NUMBER, "nobody", "+12125550199")
    kept = {f"{each.topic}/{each.partition}/{each.offset}": each.value for each in cluster.stored("answers")}
    file = tmp_path / "evidence.json"
    last = answers_in_evidence(cluster, file, len(kept))[-1]
    value = kept[last["place"]]
    record = CODEC.decode_as(ContactAnswers, value)
    assert (record.body.encode(), record.asked_by) == (given.content, "key:acme key")
    assert last["sha256"] == hashlib.sha256(value).hexdigest()
    assert last["record"]["answer"] == given.json()["contacts"][0]
    assert cluster.trackly("evidence", "verify", str(file)).returncode == 0
    assert cluster.trackly("erase", "acme", NUMBER, "--yes").returncode == 0
    assert answers_in_evidence(cluster, file, 0) == []


def test_an_answer_that_kafka_does_not_take_is_not_given(cluster: Cluster, api: Api) -> None:
    api.wait_for(200, NUMBER)
    delete_topic(cluster, "answers")
    refused = api.wait_for(503, NUMBER)
    assert refused.json()["code"] == "not_available"
    assert "keeps its answers as evidence" in refused.json()["message"]
