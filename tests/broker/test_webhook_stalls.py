"""The webhook sink as a process that is stopped for longer than an endpoint may take."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import pytest
from aiohttp import web

from tests.fork_server import Process
from tests.sink_house import Kafka, Receiver, delivered, endpoint, receiving, until

pytestmark = [pytest.mark.broker]

TIMEOUT, STALL = 1.0, 2.5
"""Seconds that an endpoint has for its answer, and for which the process stands still."""


async def test_a_stall_of_this_process_puts_no_webhook_of_a_sound_endpoint_off(
    kafka: Kafka, start_sinks: Callable[..., Process]
) -> None:
    taken = Receiver()

    async def slowly(request: web.Request) -> web.Response:
        await asyncio.sleep(0.05)
        return await taken.handle(request)

    async with receiving("/{name}", slowly) as taken.url:
        await kafka.endpoints(endpoint(taken, "crm"))
        sinks = start_sinks(TRACKLY_WEBHOOK_TIMEOUT=str(TIMEOUT))
        await kafka.events([delivered(number) for number in range(250)])
        for seen in (30, 100):
            await until(lambda seen=seen: len(taken.requests) >= seen)  # type: ignore[misc]
            sinks.send_signal(signal.SIGSTOP)
            await asyncio.sleep(STALL)
            sinks.send_signal(signal.SIGCONT)
        await until(lambda: len(taken.requests) >= 250)
        await until(lambda: kafka.lag() == 0)
    assert [kafka.read(f"webhooks_retry.{tier}") for tier in ("1s", "2s")] == [[], []]
    assert kafka.read("webhooks_dead") == []
