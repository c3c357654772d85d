"""`trackly mirror`: repeats the event topics without numbers, for those who must not see any.

A record is written and acknowledged before the offset of its source moves: at least once, like everything else.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Any

import typer

from bus.admin import Admin
from bus.errors import CommitFailedError
from bus.health import Health
from bus.kafka_time import check_clock
from bus.layout import LayoutError, check_partitions
from bus.producer import Producer
from bus.reading.group import group_consumer
from bus.settings import BusSettings
from bus.watch import Watch
from schemas.codec import Codec, CodecError
from schemas.ids import recipient_key
from schemas.pseudonyms import Pseudonyms
from schemas.registry import registry_for
from schemas.topics import Topic
from trackly.commands.mirror.anonymous import anonymous, recipient_of
from trackly.errors import Failed, check_topics
from trackly.output import say
from trackly.starting import tell

log = logging.getLogger(__name__)

BATCH = 2_000


def mirror() -> None:
    """Write the events again with pseudonyms for numbers and without texts, until Ctrl-C or SIGTERM.

    `sms.events.delivery` becomes `sms.events.delivery.anon` and so on. A number of an account always has the same
    pseudonym, by TRACKLY_PSEUDONYM_KEY: without the key nobody finds the number again.
    """
    settings = BusSettings()
    if settings.pseudonyms is None:
        raise Failed("TRACKLY_PSEUDONYM_KEY is not set: it turns numbers into pseudonyms.")
    tell("mirror", settings)
    mirrors = {
        settings.catalogue[topic.mirrors].name: topic
        for topic in settings.catalogue.values()
        if topic.mirrors is not None
    }
    with Admin(settings) as admin:
        existing = admin.identities(topic.name for topic in settings.catalogue.values())
    check_topics((name for source, topic in mirrors.items() for name in (source, topic.name)), existing)
    check_partitions(settings.catalogue, existing)
    asyncio.run(check_clock(settings, "mirror"))
    say(f"mirroring {len(mirrors)} topics")
    asyncio.run(_mirror(settings, mirrors, settings.pseudonyms))
    raise typer.Exit(0)


async def _mirror(settings: BusSettings, mirrors: dict[str, Topic], pseudonyms: Pseudonyms) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    codec, producer = Codec(registry_for(settings.schema_registry_url)), Producer(settings, linger_ms=5)
    misfits: list[LayoutError] = []

    def ended(misfit: LayoutError) -> None:
        misfits.append(misfit)
        stop.set()

    watch = Watch(settings, producer, Health("mirror", settings), ended)
    await producer.start()
    try:
        async with group_consumer(settings, settings.group("mirror"), mirrors) as consumer:
            watch.start()
            while not stop.is_set():
                batches = await consumer.getmany(timeout_ms=500, max_records=BATCH)
                records = [record for batch in batches.values() for record in batch]
                sent = [await _repeat(producer, codec, pseudonyms, mirrors[record.topic], record) for record in records]
                await asyncio.gather(*(future for future in sent if future is not None))
                if records:
                    await _commit(consumer)
    finally:
        await watch.stop()
        await producer.stop()
    if misfits:
        raise misfits[0]


async def _repeat(
    producer: Producer, codec: Codec, pseudonyms: Pseudonyms, topic: Topic, record: Any
) -> asyncio.Future[Any] | None:
    try:
        event = anonymous(codec.decode(record.value), pseudonyms)
    except CodecError as error:
        log.warning("%s[%d] offset %d is left out: %s", record.topic, record.partition, record.offset, error)
        return None
    account, recipient = getattr(event, "account", ""), recipient_of(event)
    # Without a recipient the key is an id of the provider's or of a click.
    key = recipient_key(account, recipient) if recipient is not None else record.key
    return await producer.send(topic.name, codec.encode(event), key=key, headers=list(record.headers))


async def _commit(consumer: Any) -> None:
    try:
        await consumer.commit()
    except CommitFailedError:
        # The partitions went to another process, which repeats what was not committed.
        log.warning("a commit came too late: what was mirrored last comes again")
