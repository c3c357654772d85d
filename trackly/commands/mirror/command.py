"""`trackly mirror`: copies the event topics without numbers, for readers who must not see any.

A record is written and acknowledged before its source's offset moves: at least once, like everything else.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Mapping
from functools import partial
from typing import Any

import typer

from bus.admin import Admin
from bus.errors import CommitFailedError
from bus.health import Health
from bus.health_server import HealthServer
from bus.kafka_time import check_clock
from bus.kept_key import TOPIC, check_key
from bus.layout import LayoutError, check_partitions
from bus.losses import Losses
from bus.producer import Producer
from bus.reading.group import go_on_where_committed, group_consumer
from bus.watch import Watch
from schemas.codec import Codec, CodecError
from schemas.ids import recipient_key
from schemas.pseudonyms import Pseudonyms
from schemas.registry import registry_for
from schemas.topics import Topic
from trackly.commands.mirror.anonymous import anonymous, recipient_of
from trackly.commands.mirror.settings import MirrorSettings
from trackly.errors import Failed, check_topics
from trackly.output import say
from trackly.starting import tell

log = logging.getLogger(__name__)

BATCH = 2_000


def mirror() -> None:
    """Copy the events with pseudonyms for numbers and without texts, until Ctrl-C or SIGTERM.

    `sms.events.delivery` becomes `sms.events.delivery.anon`, and so on. A number of an account always has the same
    pseudonym, made with TRACKLY_PSEUDONYM_KEY; without the key, nobody can find the number.
    """
    settings = MirrorSettings()
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
    copied = (name for source, topic in mirrors.items() for name in (source, topic.name))
    check_topics((*copied, settings.catalogue[TOPIC].name), existing)
    check_partitions(settings.catalogue, existing)
    asyncio.run(check_clock(settings, "mirror"))
    asyncio.run(check_key(settings))
    say(f"mirroring {len(mirrors)} topics")
    asyncio.run(_run(settings, mirrors, settings.pseudonyms))
    raise typer.Exit(0)


class Mirror:
    """Copies the records of some topics: `mirrors` are their targets, by the name of the source."""

    def __init__(self, settings: MirrorSettings, mirrors: Mapping[str, Topic], pseudonyms: Pseudonyms) -> None:
        self.health = Health("mirror", settings)
        self._settings = settings
        self._mirrors = mirrors
        self._pseudonyms = pseudonyms
        self._codec = Codec(registry_for(settings.schema_registry_url))
        self._producer = Producer(settings, linger_ms=5)
        self._losses = Losses(settings, "mirror", self._producer, self._codec)
        self._counts = self.health.tally("records")
        self._server = HealthServer(self.health, settings.host, settings.port)
        self._misfits: list[LayoutError] = []
        self._stop = asyncio.Event()
        self._watch = Watch(settings, self._producer, self.health, self._misfit)
        self.health.checks.append(self._producer.problem)

    def stop(self) -> None:
        """Stop soon."""
        self._stop.set()

    async def run(self) -> None:
        """Copy until `stop`. Raises LayoutError if the topics no longer fit."""
        await self._server.start()
        await self._producer.start()
        try:
            placed = partial(go_on_where_committed, lost=self._losses.tell)
            group = self._settings.group("mirror")
            async with group_consumer(self._settings, group, self._mirrors, placed=placed) as consumer:
                self._watch.start()
                self.health.ready = True
                while not self._stop.is_set():
                    await self._turn(consumer)
        finally:
            self.health.ready = False
            await self._watch.stop()
            await self._producer.stop()
            await self._server.stop()
        if self._misfits:
            raise self._misfits[0]

    async def _turn(self, consumer: Any) -> None:
        batches = await consumer.getmany(timeout_ms=500, max_records=BATCH)
        records = [record for batch in batches.values() for record in batch]
        sent = [await self._repeat(self._mirrors[record.topic], record) for record in records]
        acknowledged = await asyncio.gather(*(future for future in sent if future is not None))
        if records:
            await _commit(consumer)
            self._counts.add("mirrored", by=len(acknowledged))
            self._counts.add("left_out", by=len(records) - len(acknowledged))

    async def _repeat(self, topic: Topic, record: Any) -> asyncio.Future[Any] | None:
        try:
            event = anonymous(self._codec.decode(record.value), self._pseudonyms)
        except CodecError as error:
            log.warning("%s[%d] offset %d is left out: %s", record.topic, record.partition, record.offset, error)
            return None
        account, recipient = getattr(event, "account", ""), recipient_of(event)
        # Without a recipient, the key is a provider's id or a click's.
        key = recipient_key(account, recipient) if recipient is not None else record.key
        return await self._producer.send(topic.name, self._codec.encode(event), key=key, headers=list(record.headers))

    def _misfit(self, misfit: LayoutError) -> None:
        self._misfits.append(misfit)
        self.stop()


async def _run(settings: MirrorSettings, mirrors: Mapping[str, Topic], pseudonyms: Pseudonyms) -> None:
    mirror = Mirror(settings, mirrors, pseudonyms)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, mirror.stop)
    await mirror.run()


async def _commit(consumer: Any) -> None:
    try:
        await consumer.commit()
    except CommitFailedError:
        # The partitions have moved to another process, which repeats whatever was not committed.
        log.warning("a commit came too late: the latest records are mirrored again")
