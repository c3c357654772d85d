"""Who may be texted, from a copy of `sms.contacts` on this machine, and how old that copy is.

It fails closed: a contact without a record is active only while the copy is known to be complete up to a moment ago.
"""

from __future__ import annotations

import asyncio
import logging

from bus.admin import Admin, AdminError, TopicLog
from bus.replica import Replica, TopicMadeAnew
from console.clock import Moment, moment
from console.freshness import STAGES, Freshness
from console.settings import ConsoleSettings
from schemas.codec import Codec
from schemas.ids import contact_key
from schemas.pseudonyms import PREFIX
from schemas.records import ContactState

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5
"""Seconds between two looks at the pipeline. A moment needs three looks to come through at rest."""

_ERASED = b":" + PREFIX.encode()

ADMIN_TIMEOUT = 5.0


class ContactsView:
    """States of contacts. `problem` says why the picture does not get newer, where that is known."""

    def __init__(self, settings: ConsoleSettings, codec: Codec, replica: Replica) -> None:
        self.freshness = Freshness()
        self.problem: str | None = "the console is starting"
        self._settings = settings
        self._codec = codec
        self._replica = replica
        self._pseudonyms = settings.pseudonyms
        self._has_erased = False
        self._replica.on_key = self._note
        self._input_ids: dict[str, str] = {}
        self._topics = tuple(tuple(settings.catalogue[topic].name for topic in stage) for stage in STAGES)
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Follow contacts and the pipeline. Raises AdminError when there is no broker or no topic."""
        self._has_erased = await asyncio.to_thread(self._replica.holds, _ERASED)
        try:
            await self._replica.start()
        except TopicMadeAnew as error:
            # What the topic lost may be a contact that was removed: only a person can tell.
            self.problem = (
                f"{error}, and may lack contacts that were removed. If it was emptied on purpose, delete"
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

    def contact(self, account: str, list_number: str, number: str) -> ContactState | None:
        """State of a contact; None where nothing is recorded against it. Raises CodecError.

        A number that was erased after it had been removed is found under its pseudonym.
        """
        value = self._replica.get(contact_key(account, list_number, number).encode())
        if value is None and self._has_erased and self._pseudonyms is not None:
            pseudonym = self._pseudonyms.of(account, number)
            value = self._replica.get(contact_key(account, list_number, pseudonym).encode())
        return None if value is None else self._codec.decode_as(ContactState, value)

    def age(self) -> float:
        """Seconds since the moment up to which the copy is complete; infinite where none is known."""
        as_of = self.freshness.as_of
        return float("inf") if as_of is None or self._is_blind() else as_of.seconds_until(moment())

    def not_ready(self) -> str | None:
        """Why the copy itself is not complete, or None. A pipeline that is behind is not the console's fault."""
        if self._replica.problem is not None:
            return self._replica.problem
        if self._is_blind():
            return "numbers that were removed have been erased; set TRACKLY_PSEUDONYM_KEY here as streams has it"
        return f"reading contacts: {self._replica.left} records left" if self._replica.left else None

    def _note(self, key: bytes) -> None:
        self._has_erased = self._has_erased or _ERASED in key

    def _is_blind(self) -> bool:
        """Whether removed contacts cannot be found, because they stand under pseudonyms and there is no key."""
        return self._has_erased and self._pseudonyms is None

    async def _watch(self) -> None:
        # It is not cancelled: a call that runs in a thread would go on using the connection.
        while not self._stopping.is_set():
            try:
                await self._watch_connected()
            except Exception as error:
                self.problem = str(error) if isinstance(error, AdminError) else f"{type(error).__name__}: {error}"
                log.warning("the pipeline cannot be looked at: %s", self.problem)
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
            await asyncio.wait_for(self._stopping.wait(), LOOK_EVERY)
        except TimeoutError:
            pass

    async def _look(self, admin: Admin) -> None:
        positions = {(self._topics[-1][0], partition): at for partition, at in self._replica.positions.items()}
        committed, now, logs = await asyncio.to_thread(self._ask, admin)
        read = committed | positions
        self.problem = self._replica.problem or self._contradiction(read, logs)
        if self.problem is not None:
            return
        self._forget_marks_of_other_topics({name: logs[name].id for stage in self._topics[:-1] for name in stage})
        begins = {(name, partition): at for name in logs for partition, at in logs[name].begins.items()}
        # What retention took will not be read any more.
        passed = {place: max(begin, read.get(place, 0)) for place, begin in begins.items()}
        self.freshness.look(now, passed, tuple(_ends(stage, logs) for stage in self._topics))

    def _forget_marks_of_other_topics(self, ids: dict[str, str]) -> None:
        if self._input_ids and ids != self._input_ids:
            log.warning("an input topic was made anew; what it held and nobody had read is lost")
            self.freshness = Freshness()
        self._input_ids = ids

    def _ask(self, admin: Admin) -> tuple[dict[tuple[str, int], int], Moment, dict[str, TopicLog]]:
        # In this order: what was read is known before the moment, and the ends after it.
        committed = admin.group_offsets(self._settings.group("streams"))
        now = moment()
        return committed, now, admin.logs(name for stage in self._topics for name in stage)

    def _contradiction(self, read: dict[tuple[str, int], int], logs: dict[str, TopicLog]) -> str | None:
        contacts = self._topics[-1][0]
        for name in (name for stage in self._topics for name in stage):
            if name not in logs:
                return f"there is no topic {name}"
            if any(read.get((name, partition), 0) > end for partition, end in logs[name].ends.items()):
                return f"{name} has lost records or was made anew"
        if logs[contacts].id != self._replica.topic_id:
            return f"{contacts} was made anew; restart the console, which then says what to do"
        return None


def _ends(names: tuple[str, ...], logs: dict[str, TopicLog]) -> dict[tuple[str, int], int]:
    return {(name, partition): end for name in names for partition, end in logs[name].ends.items()}
