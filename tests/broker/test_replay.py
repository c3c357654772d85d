"""Replays on a real broker: ordered by the command, carried out by sinks, whatever is killed meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from accounts.model import Config
from bus.admin import Admin
from bus.settings import BusSettings
from schemas.ids import recipient_key
from schemas.records import DeadWebhook, DeliveryEvent, EndpointConfig, RawCallback, RejectedRecord
from tests.cluster import CODEC, Cluster
from tests.commands import NOW, Trackly, write
from tests.patience import PATIENCE
from tests.sink_house import SECRET, receiving, until

pytestmark = [pytest.mark.broker, pytest.mark.slow]


@dataclass
class Receiver:
    """Receives webhooks: bodies by `account/endpoint` and webhook-id, in the order of arrival."""

    url: str = ""
    came: dict[str, dict[str, list[bytes]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        Webhook(SECRET).verify(body, dict(request.headers), json_parse=False)
        self.came[request.path.strip("/")][request.headers["webhook-id"]].append(body)
        return web.Response()

    def counts(self, endpoint: str) -> Counter[int]:
        """Return how many webhooks of an endpoint arrived once, twice, and so on."""
        return Counter(len(bodies) for bodies in self.came[endpoint].values())


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with receiving("/{account}/{endpoint}", receiver.take) as receiver.url:
        yield receiver


@pytest.fixture
def cluster(bus_settings: BusSettings, environment: dict[str, str], tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(bus_settings, tmp_path, TRACKLY_SECRET_KEYS=environment["TRACKLY_SECRET_KEYS"]) as cluster:
        yield cluster


def endpoint(receiver: Receiver, name: str) -> EndpointConfig:
    account, _, identifier = name.partition("/")
    return EndpointConfig(
        account=account, id=identifier, url=f"{receiver.url}/{name}", secret=SECRET, events=("delivery",)
    )


def delivered(account: str, number: int) -> tuple[bytes, DeliveryEvent]:
    to = f"+1555{number % 97:07d}"
    return recipient_key(account, to), DeliveryEvent(
        event_id=f"evt_{account}_{number}",
        account=account,
        message_id=f"m{number}",
        provider_message_id=f"p{number}",
        provider="infobip",
        to=to,
        list_number="+18005551234",
        status="delivered",
        status_detail="DELIVERED_TO_HANDSET",
        status_class="delivered",
        provider_code=None,
        final=True,
        timestamp=NOW + number,
    )


def given_up(name: str, number: int) -> tuple[bytes, DeadWebhook]:
    return name.encode(), DeadWebhook(
        endpoint=name,
        event_id=f"evt_{number}",
        event="delivery",
        body=b'{"event":"delivery","number":%d}' % number,
        attempts=6,
        last_status=500,
        error_class="http_status",
        first_attempt_at=NOW - 1_000,
        died_at=NOW,
        origin="t/0/1",
    )


async def set_up(cluster: Cluster, receiver: Receiver, *names: str) -> None:
    configs: list[Config] = [endpoint(receiver, name) for name in names]
    await cluster.configure(configs)
    cluster.start("sinks-1")
    await asyncio.to_thread(cluster.wait_ready)


async def command(trackly: Trackly, *arguments: str) -> list[dict[str, Any]]:
    done = await asyncio.to_thread(trackly, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def state_of(trackly: Trackly, replay_id: str, *states: str) -> dict[str, Any]:
    """Wait until the replay is in one of these states, and return it."""
    for _ in range(600):
        [found] = await command(trackly, "replay", "show", replay_id)
        if found["state"] in states:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"the replay is {found}")


async def test_a_replay_sends_one_endpoints_events_again_and_nobody_elses(
    cluster: Cluster, receiver: Receiver, trackly: Trackly, bus_settings: BusSettings
) -> None:
    names = ("acme/crm", "acme/erp", "other/crm")
    await set_up(cluster, receiver, *names)
    await asyncio.to_thread(
        write, bus_settings, "delivery", *(delivered(a, n) for n in range(20) for a in ("acme", "other"))
    )
    await until(lambda: all(receiver.counts(name) == {1: 20} for name in names))
    [ordered] = await command(trackly, "replay", "--endpoint", "acme/crm", "--from", "1h", "--yes")
    assert (ordered["state"], ordered["outcome"]) == ("ordered", "all")
    done = await state_of(trackly, ordered["replay_id"], "done")
    assert (done["sent"], done["left"], done["error"]) == (20, 0, None)
    await until(lambda: receiver.counts("acme/crm") == {2: 20})
    assert all(len(set(bodies)) == 1 for bodies in receiver.came["acme/crm"].values())
    assert receiver.counts("acme/erp") == receiver.counts("other/crm") == {1: 20}


async def test_a_replay_by_ids_sends_only_those_of_its_own_account(
    cluster: Cluster, receiver: Receiver, trackly: Trackly, bus_settings: BusSettings
) -> None:
    await set_up(cluster, receiver, "acme/crm", "other/crm")
    await asyncio.to_thread(
        write, bus_settings, "delivery", *(delivered(a, n) for n in range(3) for a in ("acme", "other"))
    )
    await until(lambda: receiver.counts("acme/crm") == receiver.counts("other/crm") == {1: 3})
    foreign = await asyncio.to_thread(
        trackly, "replay", "--endpoint", "acme/crm", "--id", "evt_other_1", "--yes", "--json"
    )
    assert (foreign.returncode, foreign.stdout) == (0, "")
    assert "There is nothing to send again." in foreign.stderr
    ids = ("--id", "evt_acme_1", "--id", "evt_other_1")
    [ordered] = await command(trackly, "replay", "--endpoint", "acme/crm", *ids, "--yes")
    assert (await state_of(trackly, ordered["replay_id"], "done"))["sent"] == 1
    await until(lambda: len(receiver.came["acme/crm"]["evt_acme_1"]) == 2)
    assert receiver.counts("acme/crm") == {1: 2, 2: 1}
    assert receiver.counts("other/crm") == {1: 3}


async def test_a_replay_goes_on_after_a_kill_with_the_same_ids(
    cluster: Cluster, receiver: Receiver, trackly: Trackly, bus_settings: BusSettings
) -> None:
    await set_up(cluster, receiver, "acme/crm")
    await asyncio.to_thread(write, bus_settings, "delivery", *(delivered("acme", n) for n in range(400)))
    await until(lambda: receiver.counts("acme/crm") == {1: 400})
    [ordered] = await command(trackly, "replay", "--endpoint", "acme/crm", "--from", "1h", "--rate", "100", "--yes")
    for more in (60, 150):
        await until(lambda more=more: receiver.counts("acme/crm")[1] <= 400 - more)  # type: ignore[misc]
        cluster.kill("sinks-1")
        assert receiver.counts("acme/crm")[1] > 0, "the replay was over before the kill"
        cluster.start("sinks-1")
    done = await state_of(trackly, ordered["replay_id"], "done")
    assert (done["sent"], done["left"]) == (400, 0)
    await until(lambda: receiver.counts("acme/crm")[1] == 0)
    assert len(receiver.came["acme/crm"]) == 400
    assert all(len(set(bodies)) == 1 for bodies in receiver.came["acme/crm"].values())


async def test_a_replay_that_is_stopped_sends_no_more(
    cluster: Cluster, receiver: Receiver, trackly: Trackly, bus_settings: BusSettings
) -> None:
    await set_up(cluster, receiver, "acme/crm")
    await asyncio.to_thread(write, bus_settings, "delivery", *(delivered("acme", n) for n in range(100)))
    await until(lambda: receiver.counts("acme/crm") == {1: 100})
    [ordered] = await command(trackly, "replay", "--endpoint", "acme/crm", "--from", "1h", "--rate", "1", "--yes")
    await until(lambda: receiver.counts("acme/crm")[2] > 0)
    await command(trackly, "replay", "stop", ordered["replay_id"])
    stopped = await state_of(trackly, ordered["replay_id"], "stopped")
    assert 0 < stopped["sent"] < 100
    again = await asyncio.to_thread(trackly, "replay", "stop", ordered["replay_id"])
    assert (again.returncode, again.stderr) == (1, f"Replay {ordered['replay_id']} has ended: stopped.\n")
    # A sinks process that starts anew leaves it alone.
    cluster.kill("sinks-1")
    cluster.start("sinks-1")
    await asyncio.to_thread(cluster.wait_ready)
    [listed] = await command(trackly, "replay", "list")
    assert (listed["state"], listed["sent"]) == ("stopped", stopped["sent"])


async def test_a_replay_waits_while_its_endpoint_is_paused(
    cluster: Cluster, receiver: Receiver, trackly: Trackly, bus_settings: BusSettings
) -> None:
    await set_up(cluster, receiver, "acme/crm")
    await asyncio.to_thread(write, bus_settings, "delivery", *(delivered("acme", n) for n in range(5)))
    await until(lambda: receiver.counts("acme/crm") == {1: 5})
    await command(trackly, "endpoints", "pause", "acme/crm")
    [ordered] = await command(trackly, "replay", "--endpoint", "acme/crm", "--from", "1h", "--yes")
    assert (await state_of(trackly, ordered["replay_id"], "waiting"))["sent"] == 0
    await command(trackly, "endpoints", "resume", "acme/crm")
    await state_of(trackly, ordered["replay_id"], "done")
    await until(lambda: receiver.counts("acme/crm") == {2: 5})


# Dead letters


async def test_dead_webhooks_of_one_endpoint_are_sent_again(
    cluster: Cluster, receiver: Receiver, trackly: Trackly, bus_settings: BusSettings
) -> None:
    await set_up(cluster, receiver, "acme/crm", "other/crm")
    dead = [given_up(name, number) for number in range(3) for name in ("acme/crm", "other/crm")]
    again = given_up("acme/crm", 2)  # after a replay that failed too
    await asyncio.to_thread(write, bus_settings, "webhooks_dead", *dead, again)
    [shown] = await command(trackly, "dead", "show", "evt_1", "--endpoint", "acme/crm")
    assert (shown["endpoint"], shown["body"]) == ("acme/crm", '{"event":"delivery","number":1}')
    [ordered] = await command(trackly, "dead", "replay", "evt_1", "--endpoint", "acme/crm", "--yes")
    assert (await state_of(trackly, ordered["replay_id"], "done"))["sent"] == 1
    [ordered] = await command(trackly, "dead", "replay", "--endpoint", "acme/crm", "--yes")
    assert (await state_of(trackly, ordered["replay_id"], "done"))["sent"] == 3
    await until(lambda: receiver.counts("acme/crm") == {1: 2, 2: 1})
    assert set(receiver.came["acme/crm"]["evt_1"]) == {b'{"event":"delivery","number":1}'}
    assert not receiver.came["other/crm"]
    missing = await asyncio.to_thread(trackly, "dead", "replay", "evt_9", "--yes")
    assert (missing.returncode, missing.stderr) == (1, "There is no dead webhook evt_9.\n")


async def test_nothing_is_ordered_without_a_yes(
    cluster: Cluster, receiver: Receiver, trackly: Trackly, bus_settings: BusSettings
) -> None:
    await cluster.configure([endpoint(receiver, "acme/crm")])
    await asyncio.to_thread(write, bus_settings, "delivery", *(delivered("acme", n) for n in range(3)))
    await asyncio.to_thread(write, bus_settings, "webhooks_dead", given_up("acme/crm", 1))
    for arguments in (["replay", "--endpoint", "acme/crm", "--from", "1h"], ["dead", "replay", "evt_1"]):
        done = await asyncio.to_thread(trackly, *arguments)
        assert done.returncode == 2
        assert "pass --yes" in done.stderr
    assert (
        "3 webhooks will be sent again"
        in (await asyncio.to_thread(trackly, "replay", "--endpoint", "acme/crm", "--from", "1h")).stderr
    )
    assert await command(trackly, "replay", "list") == []


# Rejected records


def callback(number: int) -> RawCallback:
    return RawCallback(f"evt_raw{number}", "infobip", "acme", "POST", "/x", "", {}, None, b"{}", "127.0.0.1", NOW)


def turned_down(number: int, **fields: Any) -> tuple[bytes, RejectedRecord]:
    values: dict[str, Any] = {
        "event_id": f"evt_{number}",
        "stage": "normalize",
        "reason": "unknown_status",
        "error": "a sentence",
        "account": "acme",
        "provider": "infobip",
        "source_partition": 0,
        "rejected_at": NOW,
    }
    return b"", RejectedRecord(**(values | fields))


def test_rejected_callbacks_go_through_whole_and_with_their_old_id(
    cluster: Cluster, trackly: Trackly, bus_settings: BusSettings
) -> None:
    raw = bus_settings.catalogue["raw"].name
    write(bus_settings, "raw", (b"a", callback(1)))
    [(place, offset)] = [(p, 0) for p in range(4) if _has_record(bus_settings, raw, p)]
    item = {"source_topic": raw, "source_partition": place, "source_offset": offset, "item": "{}"}
    write(
        bus_settings,
        "rejected",
        turned_down(1, source_topic="gone", source_offset=7, source_value=CODEC.encode(callback(2))),
        turned_down(2, **item, item_index=0),
        turned_down(3, **item, item_index=1),
        turned_down(4, source_topic=raw, source_offset=9, source_value=CODEC.encode(callback(3))),
        turned_down(5, source_topic=raw, source_partition=place, source_offset=99, item="{}", item_index=0),
    )
    [shown] = [json.loads(line) for line in trackly("rejected", "show", "evt_4", "--json").stdout.splitlines()]
    assert shown["source_value"]["event_id"] == "evt_raw3"
    done = trackly("rejected", "retry", "--reason", "unknown_status", "--yes", "--json")
    assert "evt_1 is left out" in done.stderr
    assert f"{raw}/{place}/99 is gone" in done.stderr
    assert done.returncode == 1
    assert "2 of 3 records are being reprocessed." in done.stderr
    ids = Counter(record.event_id for record in cluster.records("raw") if isinstance(record, RawCallback))
    assert ids == {"evt_raw1": 2, "evt_raw3": 1}


def _has_record(settings: BusSettings, topic: str, partition: int) -> bool:
    with Admin(settings, PATIENCE) as admin:
        return admin.end_offsets(topic)[partition] > 0
