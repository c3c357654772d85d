"""Observes the pipeline while brokers fail: standstills, processes that end unexpectedly, and answers to Twilio."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import aiohttp

from accounts.model import Config
from bench.faults.house import House
from schemas.records import AccountConfig, ListConfig

ACCOUNT, LIST = "twilio", "+18005550009"
TOKEN = "token-of-the-bench-alone"  # noqa: S105

TWILIO: list[Config] = [
    AccountConfig(id=ACCOUNT, name="By Twilio", providers={"twilio": {"auth_token": TOKEN}}),
    ListConfig(account=ACCOUNT, number=LIST),
]
"""Settings of the account whose callbacks Twilio posts. It has no endpoint."""

_LOOK_EVERY = 0.02


class Moves:
    """The times at which a count changed."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._known = count()
        self._at = [time.monotonic()]

    def look(self) -> None:
        """Compare with the last observation."""
        if (count := self._count()) != self._known:
            self._known = count
            self._at.append(time.monotonic())

    def longest(self, since: float, until: float) -> float:
        """Return the seconds of the longest standstill between two moments."""
        moves = [since, *(at for at in self._at if since < at < until), until]
        return max(later - earlier for earlier, later in itertools.pairwise(moves))

    def next(self, since: float) -> float | None:
        """Return the seconds from a moment to the first change after it, if there was one."""
        return next((at - since for at in self._at if at > since), None)


class Watched:
    """Observes a house many times a second, and restarts processes that end, like an orchestrator."""

    def __init__(self, house: House) -> None:
        self.stored = Moves(lambda: house.traffic.stored)
        self.delivered = Moves(lambda: len(house.receiver.bodies))
        self.crashes: Counter[str] = Counter()
        """How often services ended unexpectedly."""
        self._house = house
        self._asked = False
        self._task = asyncio.create_task(self._look())

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Expect services to end in this block."""
        self._asked = True
        try:
            yield
        finally:
            self._asked = False

    async def stop(self) -> None:
        """Stop observing."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _look(self) -> None:
        ended: dict[str, float] = {}
        while True:
            self.stored.look()
            self.delivered.look()
            for name, service in self._house.cluster.services.items() if not self._asked else ():
                if service.is_alive():
                    continue
                if name not in ended:
                    ended[name] = time.monotonic()
                    self.crashes[name] += 1
                elif time.monotonic() - ended[name] > 1:
                    del ended[name]
                    service.start()
            await asyncio.sleep(_LOOK_EVERY)


class Twilio:
    """Posts two status callbacks a second, signed, each once, and remembers how they were answered.

    Like Twilio, it waits for 15 s, and posts a callback that was not answered 2xx exactly once more, at once.
    """

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/webhook-feedbacks/twilio?account={ACCOUNT}"
        self._task = asyncio.create_task(self._run())
        self.answers: Counter[int] = Counter()
        """Statuses of answers; 0: no answer within 15 s, or no connection."""
        self.slowest = 0.0
        """Seconds of the slowest answer 200."""

    def forget(self) -> None:
        """Reset the counts."""
        self.answers.clear()
        self.slowest = 0.0

    async def stop(self) -> None:
        """Stop posting."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(15)) as session, asyncio.TaskGroup() as tasks:
            number = 0
            while True:
                tasks.create_task(self._post(session, number))
                number += 1
                await asyncio.sleep(0.5)

    async def _post(self, session: aiohttp.ClientSession, number: int) -> None:
        sid = f"SM{number:032x}"
        form = {"MessageSid": sid, "MessageStatus": "delivered", "To": f"+1555{8_000_000 + number}", "From": LIST}
        signed = self._url + "".join(name + form[name] for name in sorted(form))
        signature = base64.b64encode(hmac.new(TOKEN.encode(), signed.encode(), hashlib.sha1).digest()).decode()
        began = time.monotonic()
        try:
            async with session.post(self._url, data=form, headers={"X-Twilio-Signature": signature}) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            status = 0
        self.answers[status] += 1
        if status == 200:
            self.slowest = max(self.slowest, time.monotonic() - began)
