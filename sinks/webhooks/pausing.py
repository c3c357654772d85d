"""Pauses endpoints that have failed for long or want no more webhooks, and notifies their owners.

A pause is a record beside the endpoint's settings, so it applies in every process and across restarts until somebody
resumes the endpoint. It is for the settings that failed: if they have changed, it has no effect. An alert is written
before it, which becomes webhooks to the account's other endpoints.

The owner of the endpoint's partition of due webhooks counts consecutive failures: all retries pass there, so one
process decides. The count is in memory; after a restart it begins again, and the pause comes later. Before pausing an
endpoint, the log of attempts is checked for another process that has reached it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from accounts.model import Accounts
from accounts.pauses import pause_of
from bus.clock import Clock
from bus.errors import KafkaError
from outbound.outcomes import GONE, Outcome
from schemas.ids import derived_id
from schemas.records import EndpointAlert, EndpointConfig, EndpointPause
from sinks.webhooks.fanout import is_callback_lane
from sinks.webhooks.parking import DAY_MS

log = logging.getLogger(__name__)

FAILING, GONE_REASON, RECEIVER = "failing", "gone", "receiver"
"""Pause reasons stored in an endpoint's settings: its failures, a 410, or its receiver's request by `webhook-delivery:
disable`."""

CLOSE_AGAIN_SECONDS = 30.0
"""Seconds after which a pause requested by a receiver is rewritten if Kafka did not accept it."""

REASONS = (FAILING, GONE_REASON, RECEIVER)


@dataclass(slots=True)
class FailureRun:
    """Consecutive failures. `since` is in seconds (monotonic), `since_ms` in ms since 1970 UTC."""

    since: float
    since_ms: int
    count: int = 0

    def reaches(self, failures: int, seconds: float, now: float) -> bool:
        """Whether there are this many, over at least this many seconds."""
        return self.count >= failures and now - self.since >= seconds


@dataclass(frozen=True, slots=True)
class PauseRule:
    """The number of consecutive failures, and the seconds they must last, to pause an endpoint."""

    failures: int
    seconds: float


class Pauses:
    """Counts failures, pauses endpoints, and notifies their owners.

    `owns` says whether this process owns the endpoint's partition of due webhooks; `answered_since` whether any process
    has received a 2xx from it since a time in ms; `write` and `tell` return once the record is acknowledged.
    """

    def __init__(
        self,
        rule: PauseRule,
        accounts: Accounts,
        clock: Clock,
        *,
        owns: Callable[[str], bool],
        answered_since: Callable[[str, int], Awaitable[bool]],
        write: Callable[[EndpointPause], Awaitable[None]],
        tell: Callable[[EndpointAlert], Awaitable[None]],
    ) -> None:
        self._rule = rule
        self._accounts = accounts
        self._clock = clock
        self._owns = owns
        self._answered_since = answered_since
        self._write = write
        self._tell = tell
        self._runs: dict[str, FailureRun] = {}
        self._paused: dict[str, EndpointConfig] = {}
        self._resumed: dict[str, EndpointConfig] = {}
        self._busy: set[str] = set()
        self._warned: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def on_change(self, name: str, config: EndpointConfig | None) -> None:
        """Handle an endpoint's new settings: a pause may have begun or ended."""
        if config is not None and not config.enabled and config.paused_reason in REASONS:
            self._paused[name] = config
            self._resumed.pop(name, None)
            return
        was = self._paused.pop(name, None)
        self._runs.pop(name, None)
        if was is not None and config is not None and config.enabled:
            self._resumed[name] = was

    def succeeded(self, name: str) -> None:
        """Note that an endpoint accepted a webhook."""
        if self._runs:
            self._runs.pop(name, None)
        if self._resumed and name in self._resumed:
            was = self._resumed.pop(name)
            if self._owns(name):
                log.info("endpoint %s answers again after its pause", name)
                self._start(name, partial(self._recovered, was))

    def failed(self, name: str, outcome: Outcome) -> None:
        """Note that a webhook was not accepted, or an open breaker stopped it. A receiver that wants no further attempt
        has read the webhook, so that does not count as a failure."""
        if is_callback_lane(name) or outcome.aborted:
            return
        now = self._clock.monotonic()
        run = self._runs.get(name)
        if run is None:
            run = self._runs[name] = FailureRun(now, self._clock.now_ms())
        run.count += 1
        if not outcome.closes and run.reaches(self._rule.failures, self._rule.seconds, now) and self._owns(name):
            self._start(name, partial(self._pause_unless_answered, name, run, outcome))

    def closed(self, name: str, outcome: Outcome) -> None:
        """Note that the receiver wants no more webhooks, whether it accepted this one or not."""
        config = self._accounts.endpoints.get(name)
        if is_callback_lane(name) or config is None or not config.enabled:
            return
        run = self._runs.get(name) or FailureRun(self._clock.monotonic(), self._clock.now_ms())
        reason = GONE_REASON if outcome.status == GONE else RECEIVER
        self._start(f"{name} closed", partial(self._close, name, config, reason, run, outcome))

    def expiring(self, name: str, parked_at: int) -> None:
        """Report, once a day, that webhooks of a paused endpoint are about to expire."""
        now = self._clock.now_ms()
        day = now // DAY_MS
        if self._warned.get(name) == day:
            return
        self._warned[name] = day
        log.warning("endpoint %s is paused, and the first of its webhooks will expire within a day", name)
        self._start(f"{name} expiring", partial(self._expiring, name, parked_at, day))

    def stop(self) -> None:
        """Cancel what is in progress."""
        for task in self._tasks:
            task.cancel()

    def _start(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        if what in self._busy:
            return
        self._busy.add(what)
        task = asyncio.get_running_loop().create_task(self._guarded(what, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except KafkaError as error:
            log.error("%s: neither paused nor reported, because Kafka is unavailable: %s", what, type(error).__name__)
        finally:
            self._busy.discard(what)

    async def _pause_unless_answered(self, name: str, run: FailureRun, outcome: Outcome) -> None:
        if await self._answered_since(name, run.since_ms):
            log.warning("endpoint %s fails here but answers another process: not pausing it", name)
            self._runs.pop(name, None)
            return
        config = self._accounts.endpoints.get(name)
        if config is None or not config.enabled or self._runs.get(name) is not run:
            return  # its settings have changed, or it has answered
        await self._pause(name, config, FAILING, run, outcome)

    async def _pause(self, name: str, config: EndpointConfig, reason: str, run: FailureRun, outcome: Outcome) -> None:
        now = self._clock.now_ms()
        error = str(outcome.status or outcome.error_class)
        log.error("endpoint %s is paused (%s): %d consecutive failures (%s)", name, reason, run.count, error)
        alert = self._alert("endpoint.paused", config, reason, run.since_ms, now)
        await self._tell(replace(alert, error=error, failures=run.count))
        await self._write(pause_of(config, reason, now))
        self._runs.pop(name, None)

    async def _close(self, name: str, config: EndpointConfig, reason: str, run: FailureRun, outcome: Outcome) -> None:
        """Pause an endpoint whose lane has stopped sending: retry until it is written, or its settings have changed."""
        while self._accounts.endpoints.get(name) is config:
            try:
                await self._pause(name, config, reason, run, outcome)
                return
            except KafkaError as error:
                log.error("%s: not paused yet, because Kafka is unavailable: %s", name, type(error).__name__)
                await self._clock.sleep(CLOSE_AGAIN_SECONDS)

    async def _recovered(self, was: EndpointConfig) -> None:
        since, now = was.paused_at or 0, self._clock.now_ms()
        await self._tell(self._alert("endpoint.recovered", was, was.paused_reason or FAILING, since, now))

    async def _expiring(self, name: str, parked_at: int, day: int) -> None:
        config = self._accounts.endpoints.get(name)
        if config is not None:
            reason = config.paused_reason or "disabled"
            await self._tell(
                replace(
                    self._alert("endpoint.expiring", config, reason, parked_at, self._clock.now_ms()),
                    event_id=derived_id("endpoint.expiring", name, day),
                )
            )

    @staticmethod
    def _alert(event: str, config: EndpointConfig, reason: str, since: int, now: int) -> EndpointAlert:
        return EndpointAlert(
            event_id=derived_id(event, config.account, config.id, since),
            account=config.account,
            endpoint=config.id,
            event=event,
            reason=reason,
            since=since,
            timestamp=now,
        )
