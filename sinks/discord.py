"""Alerts about endpoints to the Discord channel of their account.

https://discord.com/developers/docs/resources/webhook#execute-webhook: a POST of JSON with one embed for each alert; 429
comes with Retry-After. It is a consumer of its own, in a group of its own: nothing waits for Discord. An alert that
Discord does not take after TRIES attempts is given up and counted; the account's other endpoints have it too.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, NoReturn

import aiokafka
import orjson
from aiokafka.errors import KafkaError

from accounts.secrets import SecretMissing, resolve
from accounts.store import Accounts
from bus.settings import BusSettings
from schemas.cloudevents import iso_time
from schemas.codec import Codec, CodecError
from schemas.records import EndpointAlert
from sinks.clock import Clock
from sinks.forwarding import OLDEST_MS, RESTART_SECONDS, FetchedRecord
from sinks.lanes import Post

log = logging.getLogger(__name__)

TRIES = 5
FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0
"""Seconds before an alert is posted again: doubled each time, or as long as Discord asks, up to the longest."""


class Look(NamedTuple):
    """How an alert of one kind looks: its title, and the colour of its edge."""

    title: str
    colour: int


LOOKS: Mapping[str, Look] = {
    "endpoint.paused": Look("Webhook endpoint paused", 0xD9480F),
    "endpoint.expiring": Look("Webhooks of a paused endpoint expire soon", 0xD9480F),
    "endpoint.recovered": Look("Webhook endpoint recovered", 0x2B8A3E),
}


def message_of(alert: EndpointAlert) -> bytes:
    """Body of the post. It names the endpoint and why, and nobody is mentioned by it."""
    look = LOOKS.get(alert.event, Look(alert.event, 0))
    facts = {
        "Endpoint": f"{alert.account}/{alert.endpoint}",
        "Reason": alert.reason,
        "Last error": alert.error,
        "Failures in a row": str(alert.failures) if alert.failures else None,
        "Since": iso_time(alert.since),
    }
    fields = [{"name": name, "value": value, "inline": True} for name, value in facts.items() if value]
    embed = {"title": look.title, "color": look.colour, "fields": fields, "timestamp": iso_time(alert.timestamp)}
    return orjson.dumps({"embeds": [embed], "allowed_mentions": {"parse": []}})


class DiscordAlerts:
    """The consumer. `counts` are by outcome: `2xx`, `4xx` and so on of each attempt, and `given_up`."""

    def __init__(self, settings: BusSettings, accounts: Accounts, codec: Codec, post: Post, clock: Clock) -> None:
        self.counts: Counter[str] = Counter()
        self._settings = settings
        self._accounts = accounts
        self._codec = codec
        self._post = post
        self._clock = clock
        self._task: asyncio.Task[NoReturn] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop. What was not posted is read again by the next owner of its partition."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def take(self, records: Iterable[FetchedRecord]) -> None:
        """Post the alerts of these records: those of one account one after the other, accounts beside each other."""
        by_account: dict[str, list[EndpointAlert]] = {}
        for record in records:
            if self._clock.now_ms() - record.timestamp > OLDEST_MS:
                continue
            try:
                alert = self._codec.decode_as(EndpointAlert, record.value)
            except CodecError:
                continue
            by_account.setdefault(alert.account, []).append(alert)
        await asyncio.gather(*(self._tell(account, alerts) for account, alerts in by_account.items()))

    async def _tell(self, account_id: str, alerts: list[EndpointAlert]) -> None:
        account = self._accounts.accounts.get(account_id)
        if account is None or account.discord_webhook_url is None:
            return
        try:
            url = await asyncio.to_thread(resolve, account.discord_webhook_url)
        except SecretMissing as missing:
            log.error("alerts of account %s go to no Discord: %s", account_id, missing)
            return
        for alert in alerts:
            if not await self._deliver(url, message_of(alert), account.allow_http):
                self.counts["given_up"] += 1
                log.error("Discord did not take alert %s of account %s", alert.event_id, account_id)

    async def _deliver(self, url: str, body: bytes, allow_http: bool) -> bool:
        wait = FIRST_WAIT
        for attempt in range(1, TRIES + 1):
            outcome = await self._post(url, {"Content-Type": "application/json"}, body, allow_http)
            self.counts[outcome.label] += 1
            if outcome.ok:
                return True
            if attempt < TRIES:
                await self._clock.sleep(min(max(wait, outcome.retry_after or 0.0), LONGEST_WAIT))
                wait *= 2
        return False

    async def _run(self) -> NoReturn:
        while True:
            try:
                await self._consume()
            except KafkaError as error:
                log.warning("no alerts go to Discord at the moment: %s", type(error).__name__)
            except Exception:
                log.exception("alerts to Discord failed; they start again")
            await asyncio.sleep(RESTART_SECONDS)

    async def _consume(self) -> NoReturn:
        consumer: Any = aiokafka.AIOKafkaConsumer(
            self._settings.catalogue["alerts"].name,
            group_id=self._settings.group("discord"),
            group_instance_id=self._settings.instance_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=100,
            max_poll_interval_ms=3_600_000,  # Discord may ask to wait for minutes, several times
            **self._settings.aiokafka(),
        )
        try:
            await consumer.start()
            while True:
                found = await consumer.getmany(timeout_ms=1_000)
                if found:
                    await self.take([record for records in found.values() for record in records])
                    await consumer.commit()
        finally:
            await consumer.stop()
