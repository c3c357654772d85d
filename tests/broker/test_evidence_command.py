"""Evidence from end to end: what follows from a STOP is found, signed, verified, and erased."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.secrets import new_key
from operations.evidence import public_key
from schemas.records import AccountConfig, AuditEntry, ListConfig
from tests.cluster import Cluster, running
from tests.patience import PATIENCE, http

pytestmark = pytest.mark.broker

LIST, NUMBER = "+18005550001", "+15551230077"
KEY = new_key()


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("evidence")
    configs = [
        AccountConfig(id="acme", name="Acme", providers={"infobip": {"username": "u", "password": "p"}}),
        ListConfig(account="acme", number=LIST),
    ]
    environment = {
        "DATABASE_URL": f"sqlite:///{directory / 'trackly.db'}",
        "TRACKLY_EVIDENCE_KEY": KEY,
        "TRACKLY_PSEUDONYM_KEY": "a secret of the tests",
    }
    with running(broker, directory, "proof", configs, "ingest", "streams-1", "read-model", **environment) as cluster:
        yield cluster


def until(cluster: Cluster, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, cluster.standstill()
        time.sleep(0.2)


def reply(cluster: Cluster, text: str) -> None:
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
    item = {"messageId": text, "from": NUMBER.lstrip("+"), "to": LIST.lstrip("+"), "text": text, "cleanText": text}
    assert http.post(url, json={"results": [item]}, auth=("u", "p")).status_code == 200


def export(cluster: Cluster, folder: Path) -> dict[str, Any]:
    file = folder / "evidence.json"
    done = cluster.trackly("contact", "evidence", "acme", NUMBER, "--out", str(file), "--page", str(folder / "e.html"))
    assert done.returncode == 0, done.stderr
    return json.loads(file.read_text("utf-8"))["evidence"]  # type: ignore[no-any-return]


def test_a_stop_is_found_with_its_answer_signed_checked_and_erased(cluster: Cluster, tmp_path: Path) -> None:
    reply(cluster, "please stop")
    until(cluster, lambda: len(export(cluster, tmp_path)["removals"]) == 1)
    until(cluster, lambda: "state" in [each["kind"] for each in export(cluster, tmp_path)["steps"]])
    found = export(cluster, tmp_path)
    [removal] = found["removals"]
    assert (removal["said"], removal["layer"], removal["list_number"]) == ("please stop", "phrases", LIST)
    assert 0 <= removal["took_ms"] < 60_000
    stored = {
        f"{each.topic}/{each.partition}/{each.offset}": hashlib.sha256(each.value).hexdigest()
        for topic in ("raw", "inbound", "unsubscribe", "contacts")
        for each in cluster.stored(topic)
        if each.value is not None
    }
    steps = [each for each in found["steps"] if each["kind"] != "audit"]
    assert [each["kind"] for each in steps] == ["reply", "unsubscribe", "state"]
    assert all(stored[each["place"]] == each["sha256"] for each in steps)
    assert stored[steps[0]["callback"]] == steps[0]["callback_sha256"]
    assert "please stop" in (tmp_path / "e.html").read_text("utf-8")
    entries = [each for each in cluster.records("audit") if isinstance(each, AuditEntry)]
    assert {(each.action, each.object) for each in entries[-1:]} == {("contact.evidence", NUMBER)}

    file = tmp_path / "evidence.json"
    assert cluster.trackly("evidence", "verify", str(file)).returncode == 0
    assert cluster.trackly("evidence", "verify", str(file), "--key", public_key(KEY)).returncode == 0
    other = cluster.trackly("evidence", "verify", str(file), "--key", public_key(new_key()), "--json")
    assert (other.returncode, json.loads(other.stdout)["proven"]) == (1, False)
    file.write_text(file.read_text("utf-8").replace("please stop", "please go on"), "utf-8")
    changed = cluster.trackly("evidence", "verify", str(file))
    assert (changed.returncode, "it was changed after it was signed" in changed.stderr) == (1, True)

    times = json.loads(cluster.trackly("evidence", "times", "acme", "--since", "1h", "--json").stdout)
    assert (times["removals"], times["max_ms"]) == (1, removal["took_ms"])

    assert cluster.trackly("erase", "acme", NUMBER, "--yes").returncode == 0
    until(cluster, lambda: not export(cluster, tmp_path)["steps"])
    after = export(cluster, tmp_path)
    assert [(each["may_be_texted"], each["is_erased"]) for each in after["states"]] == [(False, True)]
    assert cluster.trackly("evidence", "times", "acme").returncode == 0


def test_a_number_that_is_none_is_told(cluster: Cluster) -> None:
    done = cluster.trackly("contact", "evidence", "acme", "nobody")
    assert (done.returncode, "not a valid phone number" in done.stderr) == (2, True)
