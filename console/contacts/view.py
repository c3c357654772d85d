"""Who may be texted, from a local copy of `sms.contacts`, and the age of that copy.

It fails closed: a contact without a record is active only while the copy is known to be complete up to a moment ago.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from accounts.suppression import WHOLE_ACCOUNT, effective_state, strictest, unrecorded
from bus.admin import Admin, AdminError, TopicLog
from bus.clock import Moment, moment
from bus.layout import TopicMadeAnew
from bus.logs import repetitive_logger
from bus.reading.replica import Replica
from console.contacts.freshness import STAGES, Freshness
from console.contacts.pending_orders import PendingOrders
from console.contacts.sent_messages import SentMessages
from console.settings import ConsoleSettings
from schemas.codec import Codec, CodecError
from schemas.ids import contact_key
from schemas.numbering import one_spelling, spellings, user_id_of
from schemas.pseudonyms import PREFIX
from schemas.records import ContactState

log = repetitive_logger(__name__)

LOOK_EVERY, REST_EVERY = 0.5, 1.0
"""Seconds between observations of the pipeline: while something is on its way, and at rest."""

_ERASED = b":" + PREFIX.encode()

ADMIN_TIMEOUT = 5.0


class ContactsView:
    """States of contacts. `problem` says why the copy is not advancing, if known."""

    def __init__(
        self, settings: ConsoleSettings, codec: Codec, replica: Replica, orders: PendingOrders, sent: SentMessages
    ) -> None:
        self.freshness = Freshness()
        self.orders = orders
        self.sent = sent
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
        self._is_at_rest = False
        self._logs: dict[str, TopicLog] = {}
        """Of the last look."""

    async def start(self) -> None:
        """Follow contacts, commands, and the pipeline. Raises AdminError if there is no broker or no topic."""
        await self.orders.start()
        self._has_erased = await asyncio.to_thread(self._replica.holds, _ERASED)
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
        await self.orders.stop()

    def contact(self, account: str, list_number: str, number: str) -> ContactState | None:
        """Return the record of a contact on a list itself, or of its number account-wide; None: there is none. Raises
        CodecError.

        A number erased after its removal is found under its pseudonym. A number's record also applies to a channel's id
        for the same person.
        """
        return self._recorded(account, list_number, number, self._spelled(account, number))

    def _spelled(self, account: str, number: str) -> tuple[str, ...]:
        """Return the names under which a number's subscriber may be recorded."""
        spelled = spellings(number)
        if number.startswith("+"):
            return spelled
        person = self.goes_by(account, number)
        return spelled if person == number else (*spelled, *spellings(person))

    def _recorded(self, account: str, list_number: str, number: str, spelled: tuple[str, ...]) -> ContactState | None:
        # Nearly every number has a single spelling.
        found = self._state(f"{account}:{list_number}:{spelled[0]}")
        erased: tuple[ContactState | None, ...] = ()
        if found is None and self._has_erased and self._pseudonyms is not None:
            # Whatever an older spelling says: an erasure does not reach it.
            pseudonyms = self._pseudonyms.every(account, number)
            erased = tuple(self._state(contact_key(account, list_number, each)) for each in pseudonyms)
        if len(spelled) > 1 or erased:
            others = (self._state(f"{account}:{list_number}:{each}") for each in spelled[1:])
            found = strictest((found, *others, *erased))
        return found

    def goes_by(self, account: str, number: str) -> str:
        """Return the number of a person known by a channel's id, if known; otherwise the argument.

        Raises CodecError.
        """
        if number.startswith("+") or user_id_of(number) is None:
            return number
        known = self._state(contact_key(account, WHOLE_ACCOUNT, number))
        return number if known is None or known.known_as is None else known.known_as

    def _state(self, name: str) -> ContactState | None:
        value = self._replica.get(name.encode())
        return None if value is None else self._codec.decode_as(ContactState, value)

    def standing(self, account: str, list_number: str, number: str) -> ContactState | None:
        """Return whether a contact may be texted: the list's record combined with the account-wide one. Since 0: since
        the beginning. None: it may, and there is no record. Raises CodecError."""
        spelled = self._spelled(account, number)
        own = self._recorded(account, list_number, number, spelled)
        whole = self._recorded(account, WHOLE_ACCOUNT, number, spelled)
        if own is None and whole is None:
            return None
        return effective_state(own or unrecorded(account, list_number, number), whole)

    def finds_at_once(self, number: str) -> bool:
        """Whether `standings` can handle a number: it may only be recorded under its spellings."""
        return number.startswith("+") and not self._has_erased

    def standings(
        self, account: str, list_number: str, numbers: Sequence[str]
    ) -> list[ContactState | CodecError | None]:
        """Return `standing` of many numbers at once, in order; an exception it raises for one takes the place of the
        result."""
        alone = one_spelling()
        spelled = [(number,) if number[:5] in alone else spellings(number) for number in numbers]
        names = [name for each in spelled for name in each]
        own = self._states(f"{account}:{list_number}:", names)
        whole = self._states(f"{account}:{WHOLE_ACCOUNT}:", names)
        found: list[ContactState | CodecError | None] = []
        for number, each in zip(numbers, spelled, strict=True):
            if len(each) == 1:
                mine, every = next(own), next(whole)
            else:
                mine, every = _recorded(islice(own, len(each))), _recorded(islice(whole, len(each)))
            if mine is None and every is None:
                found.append(None)
            elif isinstance(mine, CodecError) or isinstance(every, CodecError):
                found.append(mine if isinstance(mine, CodecError) else every)
            else:
                found.append(effective_state(mine or unrecorded(account, list_number, number), every))
        return found

    def _states(self, beginning: str, names: Sequence[str]) -> Iterator[ContactState | CodecError | None]:
        rows = self._replica.get_many([f"{beginning}{name}".encode() for name in names])
        return (None if row is None else self._state_or_error(row) for row in rows)

    def _state_or_error(self, row: bytes) -> ContactState | CodecError:
        try:
            return self._codec.decode_as(ContactState, row)
        except CodecError as error:
            return error

    def age(self) -> float:
        """Seconds since the moment up to which the copy is complete; infinity if unknown."""
        as_of = self.freshness.as_of
        is_known = as_of is not None and not self._is_blind() and self.orders.not_ready() is None
        return as_of.seconds_until(moment()) if as_of is not None and is_known else float("inf")

    def not_ready(self) -> str | None:
        """Return why the copy itself is incomplete, or None. A slow pipeline is not the console's fault."""
        problem = self._replica.problem or self.orders.not_ready()
        if problem is not None:
            return problem
        if self._is_blind():
            return "numbers that were removed have been erased; set TRACKLY_PSEUDONYM_KEY here as streams has it"
        return f"reading contacts: {self._replica.left} records left" if self._replica.left else None

    def _note(self, key: bytes) -> None:
        self._has_erased = self._has_erased or _ERASED in key

    def _is_blind(self) -> bool:
        """Whether removed contacts cannot be found, because they are stored under pseudonyms and there is no key."""
        return self._has_erased and self._pseudonyms is None

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
        positions = {(self._topics[-1][0], partition): at for partition, at in self._replica.positions.items()}
        committed, now, logs = await asyncio.to_thread(self._ask, admin)
        read = committed | positions
        self._logs = logs
        self.problem = self._replica.problem or self._contradiction(read, logs)
        if self.problem is not None:
            return
        self._forget_marks_of_other_topics({name: logs[name].id for stage in self._topics[:-1] for name in stage})
        begins = {(name, partition): at for name in logs for partition, at in logs[name].begins.items()}
        # What retention has deleted will never be read.
        passed = {place: max(begin, read.get(place, 0)) for place, begin in begins.items()}
        self.freshness.look(now, passed, tuple(_ends(stage, logs) for stage in self._topics))
        self._is_at_rest = self.freshness.as_of == now
        orders = self._settings.catalogue["commands"].name
        carried_out = {partition: at for (name, partition), at in committed.items() if name == orders}
        self.orders.look(now, carried_out, self.freshness.as_of)
        self.sent.look(now, _ends((self._settings.catalogue["messages"].name,), logs))

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
        return committed, now, admin.logs((name for stage in self._topics for name in stage), known)

    def _contradiction(self, read: dict[tuple[str, int], int], logs: dict[str, TopicLog]) -> str | None:
        contacts = self._topics[-1][0]
        for name in (name for stage in self._topics for name in stage):
            if name not in logs:
                return f"there is no topic {name}"
            if any(read.get((name, partition), 0) > end for partition, end in logs[name].ends.items()):
                return f"{name} has lost records or was recreated"
        if logs[contacts].id != self._replica.topic_id:
            return f"{contacts} was recreated; restart the console, which then says what to do"
        return None


def _recorded(found: Iterable[ContactState | CodecError | None]) -> ContactState | CodecError | None:
    """Combine the records under the spellings of one number; an unreadable one may be a removal."""
    states = list(found)
    error = next((each for each in states if isinstance(each, CodecError)), None)
    return error or strictest(each for each in states if not isinstance(each, CodecError))


def _ends(names: tuple[str, ...], logs: dict[str, TopicLog]) -> dict[tuple[str, int], int]:
    return {(name, partition): end for name in names for partition, end in logs[name].ends.items()}
