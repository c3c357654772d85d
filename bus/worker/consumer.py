"""A Faust consumer that loses nothing: admits records in order, seeks back on a gap unless the broker has no records
there, and commits only what is durable.

Faust's own bookkeeping can commit past records that no agent saw: a late seek resets its read position under records
being delivered, a record dropped while flow is suspended still moves the position, and a missing head offset is skipped
(faust-streaming issues 606, 316, 502). So it decides nothing here. Faust keeps its strengths: the group, the
rebalances, the agents' life cycle.

Private API of faust-streaming 0.15.3 and aiokafka 0.14.0 is used in this file only.
`tests/unit/bus/worker/test_consumer.py` fails if a new version no longer calls these hooks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import aiokafka
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from bus.clients import new_consumer
from bus.errors import PartitionsLost, may_pass
from bus.fetching import FollowingConsumer
from bus.insisting import insist
from bus.layout import Identity
from bus.ledger import Ledger, OffsetVerdict, TopicPartition
from bus.worker.inbox import Inbox
from bus.worker.unassigned import read_by_nobody

log = logging.getLogger(__name__)

CONFIRMED_FOR = 4.0
"""Seconds for which the coordinator's confirmation of our membership is trusted. With the time of a request
(`bus.clients.REQUEST_TIMEOUT`) it is below the session timeout (10 s), so that writes in this time arrive, or are given
up and no longer sent, before anybody else can own the partition."""

REVOKE_WAIT = 20.0
"""Seconds that a rebalance waits for work in progress. The group's rebalance timeout is 60 s."""


class ReadPosition(NamedTuple):
    """The fetcher's position in a partition before and after a poll, and the partition's end at the last fetch (None if
    unknown)."""

    begin: int | None
    position: int | None
    end: int | None


class _Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The consumer's thread, with a poll that also returns the fetcher's positions."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        # Range assignment gives a member the same partition numbers of every topic, because everything about one
        # recipient must reach one worker. Faust falls back to round robin, which does not.
        self._assignor = RangePartitionAssignor
        return new_consumer(
            self.app.bus,
            kind=FollowingConsumer,
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=self.app.bus.instance_id,
            partition_assignment_strategy=[RangePartitionAssignor],
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_min_bytes=self.app.fetch_min_bytes,
            fetch_max_wait_ms=self.app.fetch_max_wait_ms,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            retry_backoff_ms=200,
        )

    async def poll(
        self, wanted: set[TP], timeout: float, limit: int
    ) -> tuple[Mapping[Any, list[Any]], dict[TopicPartition, ReadPosition]]:
        """Return records of the wanted partitions, and the fetcher's position in each right before and after them."""
        return await self.call_thread(self._poll, wanted, timeout, limit)  # type: ignore[no-any-return]

    async def _poll(
        self, wanted: set[TP], timeout: float, limit: int
    ) -> tuple[Mapping[Any, list[Any]], dict[TopicPartition, ReadPosition]]:
        consumer = self._ensure_consumer()
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise aiokafka.errors.ConsumerStoppedError()
        if not self.consumer.flow_active:
            return {}, {}
        begins = {tp: position for tp, position, _ in _standing(fetcher, wanted)}
        with fetcher._subscriptions.fetch_context():
            records = await fetcher.fetched_records(wanted, timeout=timeout, max_records=limit)
        return records, {tp: ReadPosition(begins.get(tp), *at) for tp, *at in _standing(fetcher, wanted)}

    async def seek_all(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Move the fetcher, in its own thread, to these offsets."""
        await self.call_thread(self._seek_all, offsets)

    async def _seek_all(self, offsets: Mapping[TopicPartition, int]) -> None:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        for tp, offset in offsets.items():
            target = aiokafka.TopicPartition(*tp)
            if target in assigned:
                consumer.seek(target, offset)

    async def heartbeat(self) -> tuple[bool, int]:
        """Whether the coordinator confirmed our membership, and our generation (-1: none)."""
        return await self.call_thread(self._heartbeat)  # type: ignore[no-any-return]

    async def _heartbeat(self) -> tuple[bool, int]:
        coordinator = self._ensure_consumer()._coordinator
        if coordinator.coordinator_id is None:
            return False, coordinator.generation
        return await coordinator._do_heartbeat(), coordinator.generation

    async def committed_offsets(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, str] | None]:
        """Return the group's committed offsets with the topic identities noted beside them; None where there is
        none."""
        return await self.call_thread(self._committed_offsets, list(tps))  # type: ignore[no-any-return]

    async def _committed_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, tuple[int, str] | None]:
        consumer = self._ensure_consumer()
        wanted = [aiokafka.TopicPartition(*tp) for tp in tps]
        found = await consumer._coordinator.fetch_committed_offsets(wanted) if wanted else {}
        known = {tp: found.get(wanted[number]) for number, tp in enumerate(tps)}
        return {tp: None if at is None or at.offset < 0 else (at.offset, at.metadata) for tp, at in known.items()}

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit offsets, each with a note of the topic's identity, which Faust's own commit omits."""
        assigned, layout = self.assignment(), self.app.layout
        noted = {
            aiokafka.TopicPartition(*tp): (offset, str(layout.get(tp.topic, "")))
            for tp, offset in offsets.items()
            if tp in assigned
        }
        try:
            await self._ensure_consumer().commit(noted)
        except (CommitFailedError, IllegalStateError) as error:
            # The partitions have moved, and their owner repeats what was not committed.
            log.warning("offsets were not committed: %s", type(error).__name__)
            return False
        except KafkaError as error:
            if not may_pass(error):
                await self.crash(error)
            log.warning("offsets are not committed yet: %s", type(error).__name__)
            return False
        return True

    async def log_bounds(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """Return the first offset still in the log and the offset after the last one, for each partition."""
        return await self.call_thread(self._log_bounds, list(tps))  # type: ignore[no-any-return]

    async def _log_bounds(self, tps: list[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        partitions = [aiokafka.TopicPartition(*tp) for tp in tps]
        first = await self._ensure_consumer().beginning_offsets(partitions)
        last = await self._end_offsets(tps)
        return {tp: (first[p], last[tp]) for tp, p in zip(tps, partitions, strict=True)}

    async def end_offsets(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record, for each partition."""
        return await self.call_thread(self._end_offsets, list(tps))  # type: ignore[no-any-return]

    async def _end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        partitions = [aiokafka.TopicPartition(*tp) for tp in tps]
        last = await self._ensure_consumer().end_offsets(partitions)
        return {tp: last[p] for tp, p in zip(tps, partitions, strict=True)}

    async def read_by_nobody(self, topics: list[str]) -> list[TopicPartition]:
        """Return topic partitions that no group member has; none during a rebalance."""
        return await self.call_thread(self._read_by_nobody, topics)  # type: ignore[no-any-return]

    async def _read_by_nobody(self, topics: list[str]) -> list[TopicPartition]:
        return await read_by_nobody(self._ensure_consumer(), topics)

    async def ask_to_rejoin(self) -> None:
        """Rejoin the group, which makes its leader assign the partitions again."""
        await self.call_thread(self._ask_to_rejoin)

    async def _ask_to_rejoin(self) -> None:
        self._ensure_consumer()._coordinator.request_rejoin()


def _standing(fetcher: Any, wanted: set[TP]) -> Iterator[tuple[TopicPartition, int | None, int | None]]:
    """Yield the fetcher's position in each assigned partition, and the partition's end at the last fetch."""
    assignment = fetcher._subscriptions.subscription.assignment
    for tp in wanted if assignment is not None else ():
        if tp in assignment.tps:
            state = assignment.state_value(tp)
            yield TopicPartition(*tp), state._position if state.has_valid_position else None, state.highwater


def _admitted(ledger: Ledger, records: Iterable[Any], end: int) -> list[Any]:
    """Admit records that are all there is up to an offset, and return those that are new."""
    admitted = []
    for record in records:
        ledger.pass_over(record.offset)
        if ledger.admit(record.offset) is OffsetVerdict.ADMIT:
            admitted.append(record)
    ledger.pass_over(end)
    return admitted


class LosslessConsumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer with our own offset handling; installed by `LosslessTransport`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ledgers: dict[TopicPartition, Ledger] = {}
        self.ready = False
        self.skipped_at: float | None = None
        """When it was last detected that retention deleted unread records (monotonic)."""
        self._confirmed = (-1, 0.0)

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _inboxes(self) -> dict[str, Inbox]:
        return self.app.inboxes  # type: ignore[no-any-return]

    async def perform_seek(self) -> None:
        """Start every assigned partition at its committed offset. Faust calls this once an assignment is complete."""
        generation = self.app.consumer_generation_id
        assigned = [TopicPartition(*tp) for tp in self.assignment() if tp.topic in self._inboxes]
        if not await self.app.fits(assigned):
            return
        new = [tp for tp in assigned if tp not in self.ledgers]
        committed = await insist("committed offsets", lambda: self._thread.committed_offsets(new))
        bounds = await insist("the ends of topics", lambda: self._thread.log_bounds(new))
        if generation != self.app.consumer_generation_id:
            return
        offsets = {tp: self._counted(tp, committed[tp]) for tp in new}
        starts = {tp: self._start(tp, offsets[tp], *bounds[tp]) for tp in new}
        # In this order: once a commit has closed the gap, only the record of the loss tells of it.
        await self._tell_skipped({tp: (offsets[tp], start) for tp, start in starts.items()})
        if generation != self.app.consumer_generation_id:
            return
        for tp in new:
            offset = offsets[tp]
            ledger = self.ledgers[tp] = Ledger(tp, starts[tp], generation)
            if offset != ledger.durable:
                # Commit it, although nothing was read: from now on, it is known what retention deletes unread.
                ledger.committed = -1
            self._inboxes[tp.topic].expect(tp, more=self.ledgers[tp].expected < bounds[tp][1])
        await self._thread.seek_all({tp: self.ledgers[tp].expected for tp in assigned})
        self.ready = True
        for inbox in set(self._inboxes.values()):
            inbox.wake()

    def _counted(self, tp: TopicPartition, committed: tuple[int, str] | None) -> int | None:
        """Return a committed offset; None if it belongs to an earlier topic of the same name."""
        if committed is None:
            return None
        offset, note = committed
        before, now = Identity.parsed(note), self.app.layout.get(tp.topic)
        if before is not None and now is not None and before.id != now.id:
            log.error("%s[%d] was deleted and recreated since offset %d was committed: reading it from its start",
                      tp.topic, tp.partition, offset)  # fmt: skip
            return None
        return offset

    def _start(self, tp: TopicPartition, committed: int | None, first: int, end: int) -> int:
        if committed is None or committed < first:
            return first
        if committed > end:
            log.error("%s[%d] ends at %d but %d is committed, so the topic was recreated: reading it from its start",
                      tp.topic, tp.partition, end, committed)  # fmt: skip
            return first
        return committed

    async def _tell_skipped(self, found: Mapping[TopicPartition, tuple[int | None, int]]) -> None:
        """Tell of what lies between the next expected offset and the first one there is, by partition. Without an
        expected one, the group has never read there, or Kafka has forgotten where it was."""
        gaps = {tp: (expected, first) for tp, (expected, first) in found.items() if first > (expected or 0)}
        if gaps:
            self.skipped_at = time.monotonic()
            await asyncio.gather(*(self.app.losses.tell(*tp, *gap) for tp, gap in gaps.items()))

    async def _drain_messages(self, fetcher: Any) -> None:
        """The consumer's reading loop. Nothing happens between a poll and the admission of its records."""
        limit = self.app.conf.broker_max_poll_records
        try:
            while not (self.should_stop or fetcher.should_stop):
                if not self.flow_active:
                    await self.wait(self.can_resume_flow)
                    continue
                wanted = self._wanted()
                if not wanted:
                    await self._wait_for_room()
                    continue
                records, positions = await self._thread.poll(wanted, 1.0, limit)
                if not self.flow_active:
                    continue
                for tp, batch in records.items():
                    self._admit(TopicPartition(*tp), batch)
                await self._pass_over(records, positions)
                self._expect(positions)
                await self._correct({tp: position for tp, (_, position, _) in positions.items()})
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            # If partitions move while the worker stops, Faust would treat this as a crash.
            if not self.app.should_stop:
                raise

    def _wanted(self) -> set[TP]:
        inboxes = self._inboxes
        return {TP(*tp) for tp, ledger in self.ledgers.items() if not ledger.revoked and inboxes[tp.topic].wants(tp)}

    async def _wait_for_room(self) -> None:
        if self.ledgers:
            waits = [asyncio.ensure_future(inbox.wait_for_room(1.0)) for inbox in set(self._inboxes.values())]
            _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
        else:
            await self.sleep(0.05)

    def _admit(self, tp: TopicPartition, batch: list[Any]) -> None:
        ledger = self.ledgers.get(tp)
        if ledger is None or ledger.revoked:
            return
        if batch and batch[0].offset == ledger.expected and batch[-1].offset == ledger.expected + len(batch) - 1:
            ledger.expected += len(batch)
            admitted = batch
        else:
            admitted = [record for record in batch if ledger.admit(record.offset) is OffsetVerdict.ADMIT]
        if admitted:
            self._inboxes[tp.topic].put(ledger, admitted)

    async def _pass_over(
        self, records: Mapping[Any, list[Any]], positions: Mapping[TopicPartition, ReadPosition]
    ) -> None:
        """Admit what lies behind offsets without records. Some topics are written by others, too, and each of their
        transactions ends with a marker, which has an offset and is no record.

        A poll returns everything between its begin and its end, for aiokafka drops whatever it did not fetch from its
        current position. So what is missing in a poll from the expected offset does not exist, unless retention has
        deleted it.
        """
        behind = {
            tp: (ledger, position)
            for tp, (begin, position, _) in positions.items()
            if (ledger := self.ledgers.get(tp)) is not None
            and begin is not None
            and position is not None
            and begin <= ledger.expected < position
        }
        if not behind:
            return
        bounds = await insist("the ends of topics", lambda: self._thread.log_bounds(behind))
        if not self.flow_active:
            return
        for tp, (ledger, position) in behind.items():
            if self.ledgers.get(tp) is ledger and not ledger.revoked and bounds[tp][0] <= ledger.expected:
                admitted = _admitted(ledger, records.get(tp, ()), position)
                if admitted:
                    self._inboxes[tp.topic].put(ledger, admitted)

    def _expect(self, positions: Mapping[TopicPartition, ReadPosition]) -> None:
        for tp, (_, position, end) in positions.items():
            if position is not None and end is not None and tp in self.ledgers:
                self._inboxes[tp.topic].expect(tp, more=position < end)

    async def _correct(self, positions: Mapping[TopicPartition, int | None]) -> None:
        """Seek back if the fetcher is not at the next expected offset: something was skipped."""
        wrong = {
            tp: self.ledgers[tp].expected
            for tp, position in positions.items()
            if position is not None and tp in self.ledgers and position != self.ledgers[tp].expected
        }
        if not wrong:
            return
        bounds = await insist("the ends of topics", lambda: self._thread.log_bounds(wrong))
        skipped = {tp: first for tp, (first, _) in bounds.items() if first > wrong[tp]}
        await self._tell_skipped({tp: (wrong[tp], first) for tp, first in skipped.items()})
        for tp, first in skipped.items():
            ledger = self.ledgers.get(tp)
            if ledger is not None and ledger.expected == wrong[tp]:
                ledger.jump(first)
        targets = {tp: self.ledgers[tp].expected for tp in wrong if tp in self.ledgers}
        log.info("seeking back: %s", ", ".join(f"{tp.topic}[{tp.partition}] to {at}" for tp, at in targets.items()))
        await self._thread.seek_all(targets)

    async def wait_empty(self) -> None:
        """Let work in progress finish, then commit. Called before partitions are revoked and when the worker stops."""
        for inbox in set(self._inboxes.values()):
            inbox.clear()
        waits = [inbox.wait_idle(REVOKE_WAIT) for inbox in set(self._inboxes.values())]
        waits += [hook(REVOKE_WAIT) for hook in self.app.before_revoke]
        if not all(await asyncio.gather(*waits)):
            log.warning("work in progress did not finish within %.0f s; the next owner will repeat it", REVOKE_WAIT)
        await self.commit()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Give up partitions: their ledgers no longer count."""
        self.ready = False
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            ledger = self.ledgers.pop(TopicPartition(*tp), None)
            if ledger is not None:
                ledger.revoked = True

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit everything durable that is not committed yet."""
        due = {
            tp: ledger.durable
            for tp, ledger in self.ledgers.items()
            if ledger.durable > ledger.committed and not ledger.revoked
        }
        if not due:
            return False
        if self._thread.thread_loop.is_closed():  # it has crashed; the next owner does this work again
            return False
        done = bool(await self._commit({TP(*tp): offset for tp, offset in due.items()}))
        if done:
            for tp, offset in due.items():
                if tp in self.ledgers:
                    self.ledgers[tp].committed = offset
        return done

    async def confirm(self, generation: int) -> None:
        """Return once this process certainly still owns its assignment of `generation`. Raises PartitionsLost.

        A process frozen for longer than the session timeout wakes up with partitions that another process owns, and
        only learns so at its next heartbeat. Until then it would write alongside the new owner, so writers ask first:
        whoever sends a batch, and the producer whenever it sends some of one.
        It costs a heartbeat only if the last confirmation is older than CONFIRMED_FOR; while the broker is down, it
        waits.
        """
        while True:
            now = time.monotonic()
            if generation == self._confirmed[0] and now - self._confirmed[1] < CONFIRMED_FOR:
                return
            alive, current = await self._thread.heartbeat()
            if current != generation:
                raise PartitionsLost(f"the group has moved on from generation {generation}")
            if alive:
                self._confirmed = (generation, now)
            else:
                await asyncio.sleep(0.2)

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of any partitions. Stages ask; a broker that is slow to answer must not
        end them, so it waits for one that answers.
        """
        return await insist("the ends of topics", lambda: self._thread.end_offsets(tps))

    async def progress(self) -> dict[TopicPartition, tuple[int, int]]:
        """Return, for each partition, the number of records that are not durable here yet, and the durable offset.

        Raises aiokafka.errors.KafkaError.
        """
        ledgers = dict(self.ledgers)
        ends = await self._thread.end_offsets(ledgers)
        return {tp: (max(0, ends[tp] - ledger.durable), ledger.durable) for tp, ledger in ledgers.items()}

    async def read_by_nobody(self) -> list[TopicPartition]:
        """Return partitions of our topics that no group member has; none during a rebalance.

        Raises aiokafka.errors.KafkaError.
        """
        return await self._thread.read_by_nobody(list(self._inboxes))  # type: ignore[no-any-return]

    async def ask_to_rejoin(self) -> None:
        """Make the group assign its partitions again."""
        await self._thread.ask_to_rejoin()

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: Faust's watchdog counts events that we do not create; `/readyz` watches progress instead."""


class LosslessTransport(driver.Transport):  # type: ignore[misc]
    """Faust's Kafka transport with the lossless consumer."""

    Consumer = LosslessConsumer
