"""One replay on an in-memory Kafka: what it sends, its pace, and where it continues."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError
from msgspec.structs import replace

from accounts.model import Accounts
from bus.memory import CATALOGUE, CODEC, MemoryKafka
from bus.reading import ranges
from schemas.records import Record, ReplayCommand, ReplayProgress, WebhookAttempt, WebhookTask
from sinks.replays.replay import AGAIN_SECONDS, CHUNK, LOOK_SECONDS, Replay
from sinks.settings import SinksSettings
from tests.clock import MovedClock, settled
from tests.unit.sinks.replays.test_selection import command, dead
from tests.unit.sinks.sink_parts import delivered, endpoint

KEY = b"acme:54321:+15550001111"


class House:
    """A replay with its whole environment."""

    def __init__(self) -> None:
        self.kafka = MemoryKafka()
        self.clock = MovedClock()
        self.accounts = Accounts()
        self.accounts.put(endpoint())
        self.running: asyncio.Task[None] | None = None

    def replay(self, progress: ReplayProgress | None = None, **changes: Any) -> Replay:
        ordered: ReplayCommand = command(**{"to_at": ranges.FAR_AHEAD_MS, "rate": 1_000.0, **changes})
        return Replay(
            ordered,
            progress,
            SinksSettings(bootstrap_servers="unused:9092"),
            self.accounts,
            codec=CODEC,
            producer=self.kafka,  # type: ignore[arg-type]
            clock=self.clock,
        )

    async def carry_out(self, replay: Replay, seconds: float = 60.0) -> None:
        """Let it run for this long."""
        self.running = asyncio.ensure_future(replay.run())
        for _ in range(round(seconds * 5)):
            # Topics are described in a thread.
            await asyncio.sleep(0.001)
            await self.clock.move(0.2)

    @property
    def sent(self) -> list[str]:
        """Ids of the webhooks that were released, in order."""
        return [task.event_id for task in self._written("webhooks_due", WebhookTask)]

    @property
    def notes(self) -> list[ReplayProgress]:
        """Return the recorded progress."""
        return self._written("webhooks_replays", ReplayProgress)

    def _written(self, topic: str, kind: type[Any]) -> list[Any]:
        name = CATALOGUE[topic].name
        return [CODEC.decode_as(kind, record.value or b"") for record in self.kafka.sent if record.topic == name]


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    house = House()
    house.kafka.readers(monkeypatch, ranges)
    yield house
    if house.running is not None:
        house.running.cancel()


def ids(numbers: range) -> list[str]:
    return [f"evt_{number}" for number in numbers]


async def test_every_event_of_the_range_is_sent_once_and_the_end_is_written_down(house: House) -> None:
    house.kafka.store("delivery", *map(delivered, ids(range(120))), key=KEY)
    await house.carry_out(house.replay())
    assert house.sent == ids(range(120))
    assert (house.notes[-1].state, house.notes[-1].sent) == ("done", 120)


async def test_only_what_was_written_in_the_time_is_sent(house: House) -> None:
    # The records of a topic are a millisecond apart here.
    house.kafka.store("delivery", *map(delivered, ids(range(10))), key=KEY)
    await house.carry_out(house.replay(from_at=3, to_at=6))
    assert house.sent == ids(range(3, 6))


async def test_a_webhook_that_was_given_up_twice_is_sent_once(house: House) -> None:
    found = [dead("acme/crm", "evt_1"), dead("acme/crm", "evt_1"), dead("acme/crm", "evt_2")]
    house.kafka.store("webhooks_dead", *found, key=b"acme/crm")
    await house.carry_out(house.replay(outcome="dead"))
    assert house.sent == ["evt_1", "evt_2"]


@pytest.mark.parametrize(
    ("outcome", "topic", "record_of", "own", "others"),
    [
        ("all", "delivery", delivered, KEY, b"other:+15550001111"),
        ("dead", "webhooks_dead", partial(dead, "acme/crm"), b"acme/crm", b"acme/other"),
    ],
)
async def test_what_is_others_or_cannot_be_read_is_passed_over(
    house: House, outcome: str, topic: str, record_of: Callable[[str], Record], own: bytes, others: bytes
) -> None:
    for event_id, key in (("evt_0", own), ("evt_1", others), ("evt_2", own)):
        house.kafka.store(topic, record_of(event_id), key=key)
    log = house.kafka.logs[CATALOGUE[topic].name, 0]
    log.append(log[0]._replace(offset=3, value=b"nonsense", timestamp=3))
    await house.carry_out(house.replay(outcome=outcome))
    assert house.sent == ["evt_0", "evt_2"]
    assert (house.notes[-1].state, [*house.notes[-1].positions.values()]) == ("done", [4])


async def test_of_failed_webhooks_only_those_are_sent_that_were_never_taken(house: House) -> None:
    house.kafka.store("delivery", *map(delivered, ids(range(3))), key=KEY)
    for event_id, error in (("evt_0", "http_status"), ("evt_1", "timeout"), ("evt_1", None), ("evt_2", None)):
        house.kafka.store("webhooks_attempts", tried(event_id, error), key=b"acme/crm")
    await house.carry_out(house.replay(outcome="failed"))
    assert house.sent == ["evt_0"]


async def test_the_pace_is_that_of_the_order_and_leaves_half_of_the_endpoint_s_limit(house: House) -> None:
    house.accounts.put(endpoint(rate_limit=20.0))
    house.kafka.store("delivery", *map(delivered, ids(range(200))), key=KEY)
    await house.carry_out(house.replay(rate=1_000.0), seconds=5.0)
    assert 40 <= len(house.sent) <= 52  # ten a second, in twos


async def test_a_paused_endpoint_is_waited_for(house: House) -> None:
    house.accounts.put(endpoint(enabled=False))
    house.kafka.store("delivery", delivered("evt_1"), key=KEY)
    replay = house.replay()
    await house.carry_out(replay, seconds=3 * LOOK_SECONDS)
    assert (house.sent, house.notes[-1].state) == ([], "waiting")
    house.accounts.put(endpoint())
    for _ in range(20):
        await asyncio.sleep(0.001)
        await house.clock.move(LOOK_SECONDS)
    assert (house.sent, house.notes[-1].state) == (["evt_1"], "done")


async def test_an_endpoint_that_is_deleted_fails_the_replay(house: House) -> None:
    house.accounts.drop("config_endpoints", "acme/crm")
    await house.carry_out(house.replay(), seconds=1.0)
    assert (house.notes[-1].state, house.notes[-1].error) == ("failed", "the endpoint does not exist")


async def test_it_goes_on_where_the_last_note_says(house: House) -> None:
    house.kafka.store("delivery", *map(delivered, ids(range(200))), key=KEY)
    await house.carry_out(house.replay())
    after_one = next(note for note in house.notes if note.sent)
    assert after_one.sent == CHUNK
    first = list(house.sent)
    house.kafka.sent.clear()
    await house.carry_out(house.replay(replace(after_one)))
    assert house.sent == first[CHUNK:]


async def test_a_kafka_that_takes_nothing_is_waited_for_and_nothing_is_left_out(house: House) -> None:
    house.kafka.store("delivery", *map(delivered, ids(range(5))), key=KEY)
    house.kafka.refuses = KafkaTimeoutError()
    await house.carry_out(house.replay(), seconds=2 * AGAIN_SECONDS)
    assert house.sent == []
    house.kafka.refuses = None
    for _ in range(40):
        await asyncio.sleep(0.001)
        await settled()
        await house.clock.move(1.0)
    assert (house.sent, house.notes[-1].state) == (ids(range(5)), "done")


def tried(event_id: str, error: str | None) -> WebhookAttempt:
    """Return the outcome of an attempt."""
    return WebhookAttempt(
        endpoint="acme/crm",
        event_id=event_id,
        event="delivery",
        attempt=1,
        url="https://crm.example.com/hook",
        status=None if error == "timeout" else 200 if error is None else 500,
        error_class=error,
        latency_ms=1,
        response_head="",
        request_size=2,
        at=0,
        next_attempt_at=None,
        final=False,
    )
