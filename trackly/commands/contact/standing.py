"""One contact as a check judges it, read from Kafka: the console's logic over a copy of this contact's data alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from accounts.model import Accounts
from accounts.sending_hours import HoursOfAccounts
from accounts.suppression import WHOLE_ACCOUNT, unrecorded
from bus.admin import Admin
from bus.losses import OPT_OUTS
from bus.reading.replica import Replica
from bus.reading.topic import BEGINNING, Start
from bus.settings import BusSettings
from bus.tables.store import MemoryStore, Store
from bus.tables.versions import pack, version_in
from schemas.codec import CodecError
from schemas.ids import contact_key, contact_names, recipient_key
from schemas.numbering import user_id_of
from schemas.records import ContactState
from trackly.decoding import Decoder, KafkaRecord
from trackly.reading import check_pseudonym_key, open_topic, problem_with

if TYPE_CHECKING:
    from console.contacts.answers import Question


class Standing(NamedTuple):
    """A contact's record, and a check's answer about it, by field name."""

    state: ContactState
    answer: dict[str, Any]


async def standing_of(
    settings: BusSettings, decoder: Decoder, accounts: Accounts, account: str, list_number: str, number: str
) -> Standing:
    """Return the contact on a list, or account-wide, as of now. Reads only its own data."""
    asked = await question_about(settings, decoder, accounts, account, list_number, number)
    try:
        found = asked.view.recorded.standing(account, list_number, number)
        state = found or unrecorded(account, list_number, number)
    except CodecError:
        state = unrecorded(account, list_number, number)
    return Standing(state, asked.answer(number))


async def question_about(
    settings: BusSettings, decoder: Decoder, accounts: Accounts, account: str, list_number: str, number: str
) -> Question:
    """Return the console's question about this number, over copies that contain nothing else. Raises PseudonymKeyWrong:
    what remains of an erased number would not be found."""
    from bus.clock import moment, now_ms
    from console.contacts.answers import Question
    from console.contacts.lost_records import LostRecords
    from console.contacts.pending_orders import PendingOrders, row_of
    from console.contacts.places import ContactPlaces
    from console.contacts.sent_messages import SentMessages, a_day_ago
    from console.contacts.sent_messages import row_of as sent_row
    from console.contacts.view import ContactsView
    from console.settings import ConsoleSettings

    await check_pseudonym_key(settings)
    codec, config = decoder.codec, accounts.accounts.get(account)
    hours = None if config is None else HoursOfAccounts().of(config)
    with Admin(settings) as admin:
        # First: whatever has been carried out by now is in the states read after it.
        committed = admin.group_offsets(settings.group("streams"))
        logs = admin.logs(settings.catalogue[topic].name for topic in OPT_OUTS)
    orders = settings.catalogue["commands"].name
    carried_out = {partition: at for (topic, partition), at in committed.items() if topic == orders}

    stores = {topic: MemoryStore() for topic in ("contacts", "commands", "messages", "places", "losses")}
    copies = {
        topic: Replica(settings, settings.catalogue[topic], store, versioned=topic == "contacts")
        for topic, store in stores.items()
    }
    pending = PendingOrders(copies["commands"])
    sent = SentMessages(copies["messages"], lambda: True)
    lost = LostRecords(settings, codec, copies["losses"])
    view = ContactsView(ConsoleSettings(), codec, copies["contacts"], pending, sent, lost)
    where = ContactPlaces(codec, copies["places"])

    person = number
    if user_id_of(number):
        known = contact_names(account, WHOLE_ACCOUNT, number)
        await _read_states(settings, copies["contacts"], stores["contacts"], known)
        with suppress(CodecError):
            person = view.recorded.goes_by(account, number)
    names = _names(settings, account, list_number, dict.fromkeys((number, person)))
    await _read_states(settings, copies["contacts"], stores["contacts"], names)
    for key in dict.fromkeys(recipient_key(account, each) for each in (number, person)):
        row = None
        async for record in _records(settings, "commands", key, Start(offsets=carried_out)):
            row = row_of(codec, row, record)
        stores["commands"].write({key: row}, None)
        async for record in _records(settings, "places", key, BEGINNING):
            stores["places"].write({key: record.value}, None)
        row = None
        if hours is not None and hours.policy.counts:
            async for record in _records(settings, "messages", key, Start(millis=a_day_ago())):
                row = sent_row(codec, row, record)
        stores["messages"].write({key: row}, None)
    # Last: what streams has moved past by now has been recorded before.
    async with open_topic(settings, settings.catalogue["losses"].name, BEGINNING) as losses:
        async for record in losses.rest():
            stores["losses"].write({record.key: record.value}, None)
    now = moment()
    pending.look(now, carried_out, now)
    lost.look(now, committed, logs, now)
    if lost.doubts.about_some(account) and not lost.doubts.about_all(account):
        # Only now does it matter by what else the account's contacts are known.
        await _note_names(settings, copies["contacts"], account)
    known_list = None if problem_with(accounts, account, list_number) else list_number
    return Question(view, where, account, known_list, hours, now_ms())


def _names(settings: BusSettings, account: str, list_number: str, numbers: Iterable[str]) -> list[str]:
    """Return every name that a contact may be recorded under, including an erased number's."""
    pseudonyms = settings.pseudonyms
    found: list[str] = []
    for number in numbers:
        for listed in dict.fromkeys((list_number, WHOLE_ACCOUNT)):
            found += contact_names(account, listed, number)
            if pseudonyms is not None:
                found += [contact_key(account, listed, each) for each in pseudonyms.every(account, number)]
    return found


async def _note_names(settings: BusSettings, copy: Replica, account: str) -> None:
    """Let the copy know the name of every contact of an account."""
    async with open_topic(settings, settings.catalogue["contacts"].name, BEGINNING) as contacts:
        async for record in contacts.rest():
            if record.key is not None and record.key.startswith(f"{account}:".encode()):
                copy.on_key(record.key)


async def _read_states(settings: BusSettings, copy: Replica, store: Store, names: Iterable[str]) -> None:
    """Put the highest version of each name into the copy."""
    for name in names:
        key, newest, version = name.encode(), None, 0
        async for record in _records(settings, "contacts", key, BEGINNING):
            found = version_in(record.headers) or 0
            if found >= version:
                newest, version = record.value, found
        if newest is not None:
            store.write({key: pack(version, newest)}, None)
            copy.on_key(key)


async def _records(settings: BusSettings, topic: str, key: bytes, start: Start) -> AsyncIterator[KafkaRecord]:
    """Yield a key's records that exist by now."""
    async with open_topic(settings, settings.catalogue[topic].name, start, key) as opened:
        async for record in opened.rest():
            if record.key == key:
                yield record
