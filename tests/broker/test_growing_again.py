"""Growth that is aborted and continued, while ingest already writes to the new topics: nobody who said STOP is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from bus.admin import Admin
from bus.clock import now_ms
from bus.settings import BusSettings
from schemas.ids import recipient_key
from schemas.records import AccountConfig, ListConfig
from tests.broker.test_growth import until
from tests.broker.test_state_moved import STOPPED, send, states, stop, wait_for
from tests.cluster import Cluster
from tests.commands import Trackly
from tests.patience import PATIENCE
from tests.unit.streams.contact_records import ACCOUNT, LIST, START_OF_DAY, command
from trackly.commands.topics import growing

pytestmark = pytest.mark.broker

RESTORED_BEFORE_A_STOP = STOPPED[0]
WAITING = STOPPED[1:]
AT_INGEST = "+15550029999"
"""Who says STOP to the new ingest."""


class Aborted(Exception):
    """Stands for a kill in the middle of the copy."""


@pytest.fixture
def cluster(bus_settings: BusSettings, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(bus_settings, tmp_path, TRACKLY_PSEUDONYM_KEY="a key of the tests") as cluster:
        account = AccountConfig(id=ACCOUNT, name="Acme")
        asyncio.run(cluster.configure([account, ListConfig(account=ACCOUNT, number=LIST)]))
        yield cluster


@pytest.fixture
def moved(cluster: Cluster, topic_prefix: str, tmp_path: Path) -> BusSettings:
    return BusSettings(
        bootstrap_servers=cluster.settings.bootstrap_servers,
        topic_prefix=f"{topic_prefix}v2.",
        partitions=7,
        data_dir=tmp_path,
    )


def grow(cluster: Cluster, moved: BusSettings, *more: str) -> Any:
    arguments = ("--prefix", moved.topic_prefix, "--partitions", str(moved.partitions), "--yes", "--json")
    return cluster.trackly("topics", "grow", *arguments, *more)


def test_ingest_begins_with_the_settings_and_what_was_copied_before_an_abort_is_not_copied_again(
    cluster: Cluster, moved: BusSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.start("streams-1")
    cluster.wait_ready()
    send(cluster.settings, [stop(RESTORED_BEFORE_A_STOP)])
    wait_for(cluster, [RESTORED_BEFORE_A_STOP])
    copied = grow(cluster, moved, "--settings")
    assert copied.returncode == 0, copied.stderr
    with Cluster(moved, tmp_path, TRACKLY_PSEUDONYM_KEY="a key of the tests") as new:
        new.start("ingest")
        new.wait_ready()
        cluster.stop("streams-1")
        restore = replace(command("restore", 0), phone_number=RESTORED_BEFORE_A_STOP)
        send(cluster.settings, [("commands", recipient_key(ACCOUNT, RESTORED_BEFORE_A_STOP), restore)])
        said_since = now_ms() + 1 - START_OF_DAY
        send(cluster.settings, [stop(number, said_since) for number in (RESTORED_BEFORE_A_STOP, *WAITING)])
        reply = {"messageId": "mo", "from": AT_INGEST, "to": LIST, "text": "STOP"}
        url = f"http://127.0.0.1:{new.ingest_port}/api/webhook-feedbacks/infobip?account={ACCOUNT}"
        assert httpx.post(url, json={"results": [reply]}).status_code == 200

        aborted_in(monkeypatch, "sms.contacts.commands", lambda: grow(cluster, moved))
        done = grow(cluster, moved)
        assert done.returncode == 0, done.stderr
        assert "unused prefix" in grow(cluster, moved).stderr
        waiting = Counter(record.key for record in new.stored("inbound"))
        assert waiting == {recipient_key(ACCOUNT, number): 1 for number in STOPPED}

        kept, brought = ({record.key for record in each.stored("fingerprints")} for each in (cluster, new))
        assert brought == kept != set()

        new.start("streams-1")
        wait_for(new, [*WAITING, AT_INGEST])
        with Admin(moved, PATIENCE) as admin:
            until(lambda: sum(admin.lag(moved.group("streams")).values()) == 0)
        assert not states(new)[RESTORED_BEFORE_A_STOP].active


def aborted_in(monkeypatch: pytest.MonkeyPatch, topic: str, run: Trackly) -> None:
    """Run a copy that ends when it has copied a topic."""
    copy = growing._copy

    async def aborted(producer: Any, old: Any, source: Any, *arguments: Any) -> int:
        written = await copy(producer, old, source, *arguments)
        if source.name.endswith(topic):
            raise Aborted
        return written

    with monkeypatch.context() as patched:
        patched.setattr(growing, "_copy", aborted)
        assert "Aborted" in run().stderr
