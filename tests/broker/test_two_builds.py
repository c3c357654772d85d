"""An upgrade and the way back under traffic: processes of an older build and of this one work side by side.

0.1.0 is not released, so the older build is a commit of this repository, from before readers' keys, kept answers and
faster batches.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from bus.admin import Admin
from bus.settings import BusSettings
from schemas.records import ContactState
from tests.cluster import Cluster, ForkedService, Service
from tests.http_servers import served
from tests.patience import PATIENCE, http

pytestmark = [pytest.mark.broker, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
OLDER = "881accc2f9715534478844e5fd192cf4656b9660"
LIST = "+18005550001"
FAILING = [f"1555020{number:04d}" for number in range(40)]
"""Contacts of which a message fails before, during and after the upgrade: at the third they are removed."""

ACCOUNTS = f"""
[[accounts]]
id = "acme"
name = "Acme Media"
[[accounts.lists]]
number = "{LIST}"
retry_threshold = 3
[[accounts.endpoints]]
id = "crm"
url = "URL"
events = ["delivery"]
"""


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a checkout of the older build."""
    path = tmp_path_factory.mktemp("older") / "trackly"
    git = ["git", "-C", str(ROOT), "worktree"]
    made = subprocess.run([*git, "add", "--detach", str(path), OLDER], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"the older build {OLDER} is not in this repository, two builds were NOT tried: {made.stderr}")
    yield path
    subprocess.run([*git, "remove", "--force", str(path)], check=True)


class TwoBuilds(Cluster):
    """Services of both builds. `old` are the names of those that run the older one, which may crash on a busy machine:
    it is started again.
    """

    def __init__(self, older: Path, settings: BusSettings, directory: Path, **environment: str) -> None:
        super().__init__(settings, directory, **environment)
        # Python takes packages from there first, and not from where a test runs.
        self.of_older = {"PYTHONPATH": str(older), "PYTHONSAFEPATH": "1"}
        self.old: set[str] = set()

    def __enter__(self) -> Self:
        self.run_older("topics", "apply")
        return self

    def run_older(self, *arguments: str) -> None:
        """Run the older command to its end."""
        environment = {**self.environment, **self.of_older}
        done = subprocess.run(
            self.command(*arguments), env=environment, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr

    def stop(self, name: str) -> None:
        """Stop a service."""
        if name not in self.old:
            super().stop(name)
        elif self.services[name].is_alive():
            self._end(name, signal.SIGTERM)

    def died(self, service: Service) -> None:
        """Start an old service again."""
        if service.name in self.old:
            service.start()
        else:
            super().died(service)

    def replace(self, name: str, *, old: bool) -> None:
        """Stop a service, and start its other build instead."""
        self.stop(name)
        self.services.pop(name).stop()  # its log is complete
        self.start_of(name, old=old)
        self.wait_ready()

    def start_of(self, name: str, *, old: bool) -> None:
        """Start a service of one of the builds."""
        (self.old.add if old else self.old.discard)(name)
        self.start(name)

    def _service(self, name: str) -> ForkedService:
        service = super()._service(name)
        if name in self.old:
            service.environment = {**service.environment, **self.of_older}
        return service


class Customer:
    """Receives webhooks: how often each message's report arrived, and with which ids."""

    def __init__(self) -> None:
        self.ids: dict[str, list[str]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        webhook = json.loads(body + message["body"])
        self.ids.setdefault(webhook["message_id"], []).append(dict(scope["headers"])[b"webhook-id"].decode())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})


class Traffic:
    """Posts a report in a message of its own ten times a second, until it is stored."""

    def __init__(self, port: int) -> None:
        self.stored: set[str] = set()
        self._url = f"http://127.0.0.1:{port}/api/webhook-feedbacks/infobip?account=acme"
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what was posted is stored."""
        self._ends.set()
        self._thread.join()

    def fail(self, part: str) -> None:
        """A message to each of the failing contacts fails."""
        for number in FAILING:
            self.post(f"{part}-{number}", number, (2, 14, "REJECTED_OPERATOR"))

    def post(self, message_id: str, to: str, status: tuple[int, int, str]) -> None:
        """Post a report, repeatedly until it is stored."""
        words = dict(zip(("groupId", "id", "name"), status, strict=True))
        report = {"messageId": message_id, "to": to, "sender": LIST, "status": words, "doneAt": _now()}
        while True:
            try:
                if http.post(self._url, json={"results": [report]}).status_code == 200:
                    self.stored.add(message_id)
                    return
            except httpx.TransportError:
                pass  # ingest is being replaced
            time.sleep(0.1)

    def _run(self) -> None:
        number = 0
        while not self._ends.wait(0.1):
            number += 1
            self.post(f"m-{number}", f"1555010{number % 1_000:04d}", (3, 5, "DELIVERED_TO_HANDSET"))


def _now() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}+0000"


UPGRADE = ("sinks-1", "sinks-2", "streams-1", "streams-2", "ingest")
"""Those that read before those that write, as docs/operating/upgrade.md has it."""


def test_nothing_is_lost_on_the_way_to_this_build_and_back(broker: str, tmp_path: Path, older: Path) -> None:
    customer = Customer()
    settings = BusSettings(
        bootstrap_servers=broker, topic_prefix=f"two{os.getpid() % 10_000:04x}.", partitions=4, data_dir=tmp_path
    )
    with served(customer) as url, TwoBuilds(older, settings, tmp_path) as cluster:
        (tmp_path / "accounts.toml").write_text(ACCOUNTS.replace("URL", f"{url}/hook"), "utf-8")
        cluster.run_older("apply", str(tmp_path / "accounts.toml"), "--yes", "--plain-secrets")
        for name in UPGRADE:
            cluster.start_of(name, old=True)
        cluster.wait_ready()
        traffic = Traffic(cluster.ingest_port)
        traffic.start()
        try:
            traffic.fail("before")
            with Admin(settings, PATIENCE) as admin:
                admin.apply(settings.catalogue)
            for name in UPGRADE:
                cluster.replace(name, old=False)
                if name == "streams-1":
                    traffic.fail("beside")
            for name in reversed(UPGRADE):
                cluster.replace(name, old=True)
                if name == "streams-2":
                    traffic.fail("back")
        finally:
            traffic.stop()
        until(lambda: traffic.stored <= customer.ids.keys(), lambda: sorted(traffic.stored - customer.ids.keys()))
        assert customer.ids.keys() == traffic.stored
        # What came twice has the same id.
        assert {len(set(ids)) for ids in customer.ids.values()} == {1}
        assert cluster.records("rejected") == []
        states = {state.phone_number: state for state in cluster.records("contacts") if isinstance(state, ContactState)}
        found = {number: states[f"+{number}"] for number in FAILING}
        assert {(each.active, each.failures, each.reason) for each in found.values()} == {(False, 3, "bad_response")}


def until(condition: Any, missing: Any) -> None:
    """Wait until a condition holds; fail with what is missing."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"missing: {missing()[:20]}"
        time.sleep(0.2)
