"""Account channels: each address has its own lane, in which alerts wait, are posted together, and are given up if the
address does not accept them. No lane waits for another."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from bus.clock import Clock
from outbound.alert_posts import FORMATS, Format, Notice
from outbound.outcomes import THROTTLES, Outcome

Send = Callable[[str, Mapping[str, str], bytes, bool], Awaitable[Outcome]]
"""Posts a body to a URL with headers; the last argument says whether it may be an http URL (`Sender.post`)."""

TOLD = "told"

TRIES = 5
"""Attempts of one post."""

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before a retry: doubled each time, or as long as the channel asks, up to the maximum."""

WAITING = 100
"""Alerts that may wait for one address; beyond that, the oldest are given up."""

PATIENCE = 300.0
"""Seconds after which a waiting alert is given up."""

REPEATABLE = frozenset({408, 425, *THROTTLES})
"""Statuses below 500 for which a retry may succeed (RFC 9110 section 15.5.9, RFC 8470 section 5.2)."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where alerts go: a channel of `FORMATS`, its URL, the signing secret, and whether http is allowed."""

    channel: str
    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    allow_http: bool = False

    @property
    def host(self) -> str:
        """The host of its URL."""
        return urlsplit(self.url).netloc.rpartition("@")[2].lower()


class _Waiting(NamedTuple):
    notice: Notice
    since: float
    end: asyncio.Future[str]


class Channels:
    """Lanes by address. `counts` are by channel and outcome: `told`, a status, an error, `late`."""

    def __init__(self, send: Send, clock: Clock) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._send = send
        self._clock = clock
        self._lanes: dict[Address, _Lane] = {}
        self._silent_until: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._lanes)

    async def tell(self, address: Address, notice: Notice) -> str:
        """Send an alert. Returns `told`, or the status or error for which it was given up; never raises."""
        lane = self._lanes.get(address)
        if lane is None:
            lane = self._lanes[address] = _Lane(address, FORMATS[address.channel], self)
            task = asyncio.get_running_loop().create_task(self._run(lane))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        end = await lane.put(notice, self._clock.monotonic())
        self.counts[address.channel, end] += 1
        return end

    def stop(self) -> None:
        """Abandon what is in progress."""
        for task in self._tasks:
            task.cancel()

    async def send(self, address: Address, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Post once neither the address nor its host is paused."""
        await self._clock.sleep(self._silent_until.get(address.host, 0.0) - self._clock.monotonic())
        return await self._send(address.url, headers, body, address.allow_http)

    def silence(self, host: str, seconds: float) -> None:
        """Pause all addresses of a host for this long. Only the answering address is known to be affected."""
        now = self._clock.monotonic()
        until = now + min(seconds, LONGEST_WAIT)
        still = {name: at for name, at in self._silent_until.items() if at > now}
        self._silent_until = {**still, host: max(until, still.get(host, 0.0))}

    async def _run(self, lane: _Lane) -> None:
        try:
            await lane.run(self._clock)
        finally:
            del self._lanes[lane.address]
            lane.give_up()


class _Lane:
    """Alerts waiting for one address, oldest first."""

    def __init__(self, address: Address, layout: Format, channels: Channels) -> None:
        self.address = address
        self._layout = layout
        self._channels = channels
        self._waiting: deque[_Waiting] = deque()

    def put(self, notice: Notice, now: float) -> asyncio.Future[str]:
        """Add an alert. The future returns its outcome."""
        end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(notice, now, end))
        if len(self._waiting) > WAITING:
            _settle([self._waiting.popleft()], "overflow")
        return end

    def give_up(self) -> None:
        """Settle what still waits."""
        _settle(self._waiting, "stopped")
        self._waiting.clear()

    async def run(self, clock: Clock) -> None:
        """Post until nothing waits."""
        while self._waiting:
            taken = self._take(clock.monotonic())
            if taken:
                end = "stopped"
                try:
                    end = await self._tell(taken, clock)
                finally:
                    _settle(taken, end)
                await clock.sleep(self._layout.gap)

    def _take(self, now: float) -> list[_Waiting]:
        while self._waiting and now - self._waiting[0].since > PATIENCE:
            _settle([self._waiting.popleft()], "late")
        number = self._layout.fits([waiting.notice for waiting in self._waiting])
        return [self._waiting.popleft() for _ in range(number)]

    async def _tell(self, taken: list[_Waiting], clock: Clock) -> str:
        notices = [waiting.notice for waiting in taken]
        wait = FIRST_WAIT
        outcome = Outcome(error_class="internal_error")
        for attempt in range(1, TRIES + 1):
            headers, body = self._layout.post(notices, self.address.secret, clock.now_ms() // 1_000)
            outcome = await self._channels.send(self.address, headers, body)
            if outcome.ok:
                return TOLD
            if attempt == TRIES or not _may_pass(outcome):
                break
            asked, everywhere = self._layout.wait(outcome)
            if everywhere:
                self._channels.silence(self.address.host, asked)
            await clock.sleep(min(max(wait, asked), LONGEST_WAIT))
            wait *= 2
        return str(outcome.status or outcome.error_class)


def _may_pass(outcome: Outcome) -> bool:
    """Whether a retry may succeed. A webhook deleted at Discord or Slack answers 404."""
    if outcome.status is None:
        return outcome.error_class not in ("invalid_url", "refused_address")
    return outcome.status >= 500 or outcome.status in REPEATABLE


def _settle(all_waiting: list[_Waiting] | deque[_Waiting], end: str) -> None:
    for waiting in all_waiting:
        if not waiting.end.done():
            waiting.end.set_result(end)
