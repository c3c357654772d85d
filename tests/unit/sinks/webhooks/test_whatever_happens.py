"""The sink in virtual time, with endpoints, settings, and partitions that change at random: what it promises holds."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from heapq import heappop, heappush
from random import Random
from typing import Any

import pytest

from bus.ledger import Ledger
from outbound.outcomes import Outcome, answered
from schemas.records import Record
from sinks.webhooks.retry import TaskHeaders, jittered
from tests.unit.sinks.sink_parts import OK, delivered, endpoint, ledger
from tests.unit.sinks.webhooks.test_webhook_sink import CATALOGUE, CODEC, House, running

CONTACTS = 6
SECONDS = 180
CHECK_MS = 300_000
"""How often parked webhooks are checked: the longest of the two delays."""

FAILURES = (answered(500), answered(400), answered(429, retry_after=70), Outcome(error_class="timeout"))


class Storm:
    """A sink, and Kafka's side of it: delay topics, parked webhooks, and partitions that move."""

    def __init__(self, house: House, seed: int) -> None:
        self.house = house
        self.random = Random(seed)
        self.happened: dict[str, tuple[str, float]] = {}
        """By event id: its contact, and when (s)."""
        self.accepted: list[str] = []
        self.resumes: list[float] = []
        self.moves = 0
        self._read = 0
        self._waiting: list[tuple[int, int, str, Record, TaskHeaders]] = []
        self._given: dict[Ledger, list[tuple[Record, Any]]] = {ledger(): [], ledger("sms.webhooks.due"): []}

    @property
    def over(self) -> bool:
        return not self._waiting and self.house.sink.window.events == 0

    async def happen(self, number: int) -> None:
        contact = f"+1555000000{self.random.randrange(CONTACTS)}"
        self.happened[f"evt_{number}"] = contact, self.house.clock.now
        await self._give(0, delivered(f"evt_{number}", to=contact), ())

    async def _give(self, which: int, record: Record, headers: Any) -> None:
        owner, given = list(self._given.items())[which]
        given.append((record, headers))
        await self.house.give(record, headers=headers, owner=owner)

    async def pass_time(self, seconds: float, failing: float) -> None:
        """Let time pass, some requests be answered, and what is due return."""
        await self.house.clock.move(seconds)
        for request in self.house.receiver.open:
            if self.random.random() < 0.8:
                outcome = self.random.choice(FAILURES) if self.random.random() < failing else OK
                if outcome.ok:
                    self.accepted.append(request.headers["webhook-id"])
                request.answer.set_result(outcome)
        await self.house.clock.move(0)
        self._read_what_was_written()
        while self._waiting and self._waiting[0][0] <= self.house.clock.now_ms():
            _, number, topic, task, headers = heappop(self._waiting)
            parked_at = headers.parked_at if topic == CATALOGUE["webhooks_parked"].name else None
            if parked_at is not None and self.house.sink.stays_parked("acme/crm", parked_at):
                due_at = self.house.clock.now_ms() + jittered(CHECK_MS, 0, 1)
                heappush(self._waiting, (due_at, number, topic, task, headers))
            else:
                await self._give(1, task, headers.encode())

    def _read_what_was_written(self) -> None:
        for record in self.house.kafka.sent[self._read :]:
            headers = TaskHeaders.decode(record.headers)
            if headers.due_at is not None:
                heappush(self._waiting, (headers.due_at, self._read, record.topic, CODEC.decode(record.value), headers))
            self._read += 1

    async def move_partitions(self) -> None:
        """Stop in order, and read again what has not settled."""
        self.moves += 1
        draining = asyncio.ensure_future(self.house.sink.drain(20.0))
        while not draining.done():
            await self.house.clock.move(0.1)
            for request in self.house.receiver.open:
                self.accepted.append(request.headers["webhook-id"])
                request.answer.set_result(OK)
        assert draining.result()
        again = {Ledger(old.tp, old.durable, 1 + self.moves): given for old, given in self._given.items()}
        self._given = {owner: given[: owner.durable] for owner, given in again.items()}
        for which, (owner, given) in enumerate(again.items()):
            for record, headers in given[owner.durable :]:
                await self._give(which, record, headers)

    def overtaken(self) -> list[tuple[str, str]]:
        """Return pairs of events of a contact, the later one of which was accepted first, although no pause that the
        earlier one waited for was over when it happened."""
        number = {event_id: place for place, event_id in enumerate(self.happened)}
        by_contact = defaultdict(list)
        for event_id in self.accepted:
            by_contact[self.happened[event_id][0]].append(event_id)
        return [
            (later, earlier)
            for order in by_contact.values()
            for place, later in enumerate(order)
            for earlier in order[place + 1 :]
            if number[earlier] < number[later]
            and not any(self.happened[earlier][1] <= at <= self.happened[later][1] for at in self.resumes)
        ]


async def ride(seed: int, *, pauses: bool = False, failing: float = 0.0, moves: bool = False) -> Storm:
    """Return a storm that is over."""
    house = House(window_events=300)
    async with running(house, rate_limit=2):
        storm = Storm(house, seed)
        limit, enabled, number = 2.0, True, 0
        while house.clock.now < SECONDS:
            for _ in range(storm.random.randrange(6)):
                await storm.happen(number)
                number += 1
            if storm.random.random() < 0.03:
                limit = storm.random.choice([0.1, 1.0, 2.0, 20.0])
                house.configure(endpoint(rate_limit=limit, enabled=enabled))
            if pauses and storm.random.random() < 0.05:
                enabled = not enabled
                house.configure(endpoint(rate_limit=limit, enabled=enabled))
                storm.resumes += [house.clock.now] if enabled else []
            if moves and storm.random.random() < 0.02:
                await storm.move_partitions()
            await storm.pass_time(1.0, failing)
        storm.resumes.append(house.clock.now)
        house.configure(endpoint(rate_limit=20))
        for _ in range(4_000):
            if storm.over:
                break
            await storm.pass_time(2.0, 0.0)
        assert storm.over, "something waits for ever"
        lane = house.sink.lanes["acme/crm"]
        assert (lane.queued, lane.in_flight, bool(lane.order) and not moves) == (0, 0, False)
        assert not house.crashes
        return storm


@pytest.mark.parametrize("seed", range(3))
async def test_every_webhook_arrives_once_and_in_its_contact_s_order_however_slow_the_endpoint_is(seed: int) -> None:
    storm = await ride(seed)
    assert sorted(storm.accepted) == sorted(storm.happened)
    assert storm.overtaken() == []


@pytest.mark.parametrize("seed", range(3))
async def test_the_same_goes_for_an_endpoint_that_is_paused_now_and_then(seed: int) -> None:
    storm = await ride(seed, pauses=True)
    assert sorted(storm.accepted) == sorted(storm.happened)
    assert storm.overtaken() == []


@pytest.mark.parametrize("seed", range(3))
async def test_an_endpoint_that_fails_gets_every_webhook_or_it_is_a_dead_letter(seed: int) -> None:
    storm = await ride(seed, pauses=True, failing=0.4)
    dead = [letter.event_id for letter in storm.house.written("webhooks_dead")]
    assert sorted(storm.accepted + dead) == sorted(storm.happened)


@pytest.mark.parametrize("seed", range(3))
async def test_partitions_that_move_lose_nothing(seed: int) -> None:
    storm = await ride(seed, pauses=True, failing=0.2, moves=True)
    dead = [letter.event_id for letter in storm.house.written("webhooks_dead")]
    assert set(storm.accepted + dead) == set(storm.happened)
    assert max(Counter(storm.accepted).values()) <= 1 + storm.moves
