"""The console's copy of `sms.contacts`: its contents, and the moment up to which it is complete.

It fails closed: a contact without a record is active only while the copy is known to be complete up to a moment ago.
"""

from __future__ import annotations

import asyncio

from bus import kept_key
from bus.admin import Admin, AdminError, TopicLog
from bus.clock import Moment, moment
from bus.layout import TopicMadeAnew
from bus.logs import repetitive_logger
from bus.reading.replica import Replica
from console.contacts.freshness import STAGES, Freshness
from console.contacts.lost_records import LostRecords
from console.contacts.pending_orders import PendingOrders
from console.contacts.recorded import RecordedContacts
from console.contacts.sent_messages import SentMessages
from console.settings import ConsoleSettings
from schemas.codec import Codec

log = repetitive_logger(__name__)

LOOK_EVERY, REST_EVERY = 0.5, 1.0
"""Seconds between observations of the pipeline: while something is on its way, and at rest."""

ADMIN_TIMEOUT = 5.0


class ContactsView:
    """Follows the copy and observes the pipeline before it. `recorded` are the states; `problem` says why the copy is
    not advancing, if known."""

    def __init__(
        self,
        settings: ConsoleSettings,
        codec: Codec,
        replica: Replica,
        orders: PendingOrders,
        sent: SentMessages,
        lost: LostRecords,
    ) -> None:
        self.recorded = RecordedContacts(codec, replica, settings.pseudonyms)
        self.freshness = Freshness()
        self.orders = orders
        self.sent = sent
        self.lost = lost
        self.problem: str | None = "the console is starting"
        self._settings = settings
        self._replica = replica
        self._input_ids: dict[str, str] = {}
        self._topics = tuple(tuple(settings.catalogue[topic].name for topic in stage) for stage in STAGES)
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._is_at_rest = False
        self._logs: dict[str, TopicLog] = {}
        """Of the last look."""
        self._fingerprints = settings.catalogue[kept_key.TOPIC].name
        self._compared: TopicLog | None = None
        """The topic of fingerprints when this process's key of pseudonyms was last compared with it."""
        self._key_problem: str | None = None

    async def start(self) -> None:
        """Follow contacts, commands, losses, and the pipeline. Raises AdminError if there is no broker or no topic."""
        await self.orders.start()
        await self.lost.start()
        await self.recorded.start()
        try:
            await self._replica.start()
        except TopicMadeAnew as error:
            # The topic may have lost a removed contact: only a person can tell.
            self.problem = (
                f"{error}, and may lack contacts that were removed. Unless it was emptied on purpose or restored from"
                " a backup, stop streams and run `trackly tables publish-contacts`. Then delete"
                f" {self._settings.directory / 'contacts'} and restart the console"
            )
            self._replica.problem = self.problem
            log.critical("%s", self.problem)
            return
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop following."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        await self._replica.stop()
        await self.lost.stop()
        await self.orders.stop()

    def age(self) -> float:
        """Seconds since the moment up to which the copy is complete; infinity if unknown."""
        as_of = self.freshness.as_of
        blind = self.recorded.is_blind or self._key_problem or self.orders.not_ready() or self.lost.not_ready()
        return float("inf") if as_of is None or blind else as_of.seconds_until(moment())

    def not_ready(self) -> str | None:
        """Return why the copy itself is incomplete, or None. A slow pipeline is not the console's fault."""
        problem = self._replica.problem or self.orders.not_ready() or self.lost.not_ready()
        if problem is not None:
            return problem
        if self._key_problem is not None:
            return self._key_problem
        if self.recorded.is_blind:
            return "numbers that were removed have been erased; set TRACKLY_PSEUDONYM_KEY here as streams has it"
        return f"reading contacts: {self._replica.left} records left" if self._replica.left else None

    async def _watch(self) -> None:
        # Do not cancel it: a call running in a thread would go on using the connection.
        while not self._stopping.is_set():
            try:
                await self._watch_connected()
            except Exception as error:
                self.problem = str(error) if isinstance(error, AdminError) else f"{type(error).__name__}: {error}"
                log.warning("cannot observe the pipeline: %s", self.problem)
                await self._rest()

    async def _watch_connected(self) -> None:
        admin = Admin(self._settings, ADMIN_TIMEOUT)
        await asyncio.to_thread(admin.__enter__)
        try:
            while not self._stopping.is_set():
                await self._look(admin)
                await self._rest()
        finally:
            await asyncio.to_thread(admin.__exit__, None, None, None)

    async def _rest(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), REST_EVERY if self._is_at_rest else LOOK_EVERY)
        except TimeoutError:
            pass

    async def _look(self, admin: Admin) -> None:
        contacts = self._replica.topic.name
        positions = {(contacts, partition): at for partition, at in self._replica.positions.items()}
        positions |= self.lost.positions
        committed, now, logs = await asyncio.to_thread(self._ask, admin)
        read = committed | positions
        self._logs = logs
        self.lost.look(now, committed, logs, self.freshness.as_of)
        await self._compare_key(logs.get(self._fingerprints))
        self.problem = self._replica.problem or self._key_problem or self._contradiction(read, logs)
        if self.problem is not None:
            return
        self._forget_marks_of_other_topics({name: logs[name].id for stage in self._topics[:-1] for name in stage})
        begins = {(name, partition): at for name in logs for partition, at in logs[name].begins.items()}
        # What retention has deleted will never be read; `lost` says whether it mattered.
        passed = {place: max(begin, read.get(place, 0)) for place, begin in begins.items()}
        self.freshness.look(now, passed, tuple(_ends(stage, logs) for stage in self._topics))
        self._is_at_rest = self.freshness.as_of == now
        orders = self._settings.catalogue["commands"].name
        carried_out = {partition: at for (name, partition), at in committed.items() if name == orders}
        self.orders.look(now, carried_out, self.freshness.as_of)
        self.sent.look(now, _ends((self._settings.catalogue["messages"].name,), logs))

    async def _compare_key(self, topic: TopicLog | None) -> None:
        # Without a key, the copy is blind as soon as it holds an erased number.
        if topic is None or self._settings.pseudonyms is None:
            return
        if self._compared is None or (topic.id, topic.ends) != (self._compared.id, self._compared.ends):
            # Its reader asks Kafka with calls that block.
            kept = await asyncio.to_thread(lambda: asyncio.run(kept_key.kept_fingerprint(self._settings)))
            wrong = kept_key.problem(self._settings, kept)
            if wrong is not None:
                log.critical("%s", wrong)
            self._key_problem = None if wrong is None else "TRACKLY_PSEUDONYM_KEY here is not the one of streams"
            self._compared = topic

    def _forget_marks_of_other_topics(self, ids: dict[str, str]) -> None:
        if self._input_ids and ids != self._input_ids:
            log.warning("an input topic was recreated; its unread records are lost")
            self.freshness = Freshness()
        self._input_ids = ids

    def _ask(self, admin: Admin) -> tuple[dict[tuple[str, int], int], Moment, dict[str, TopicLog]]:
        # In this order: what was read is known before the moment, and the ends after it.
        committed = admin.group_offsets(self._settings.group("streams"))
        now = moment()
        # Where nothing is on its way, what retention takes has been read.
        known = self._logs if self._is_at_rest else {}
        names = (name for stage in self._topics for name in stage)
        return committed, now, admin.logs((*names, self._fingerprints), known)

    def _contradiction(self, read: dict[tuple[str, int], int], logs: dict[str, TopicLog]) -> str | None:
        for name in (name for stage in self._topics for name in stage):
            if name not in logs:
                return f"there is no topic {name}"
            if any(read.get((name, partition), 0) > end for partition, end in logs[name].ends.items()):
                return f"{name} has lost records or was recreated"
        for name, copied in ((self._replica.topic.name, self._replica.topic_id), (self.lost.topic, self.lost.topic_id)):
            if copied is not None and logs[name].id != copied:
                return f"{name} was recreated; restart the console, which then says what to do"
        return None


def _ends(names: tuple[str, ...], logs: dict[str, TopicLog]) -> dict[tuple[str, int], int]:
    return {(name, partition): end for name in names for partition, end in logs[name].ends.items()}
