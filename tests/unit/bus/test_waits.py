"""A process that hangs reports on request what it is waiting for."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from bus.waits import waits


async def inner() -> None:
    await asyncio.Event().wait()


async def things() -> AsyncIterator[int]:
    await asyncio.Event().wait()
    yield 1


async def outer() -> None:
    await asyncio.gather(inner())


async def over_things() -> None:
    async for _ in things():
        pass


@pytest.mark.parametrize(
    ("waiting", "told"),
    [
        (inner, ["inner (bus/test_waits.py:", "Event.wait ("]),
        (outer, ["outer (bus/test_waits.py:"]),
        (over_things, ["over_things (", "things (", "Event.wait ("]),
    ],
)
async def test_each_task_is_told_with_the_functions_that_it_is_in(waiting: object, told: list[str]) -> None:
    task = asyncio.create_task(waiting(), name="the one")  # type: ignore[operator]
    await asyncio.sleep(0)
    (line,) = [line for line in waits() if line.startswith("the one:")]
    task.cancel()
    places = line.removeprefix("the one: ").split(" > ")
    assert [place.startswith(beginning) for place, beginning in zip(places, told, strict=False)] == [True] * len(told)


SERVICE = """
import asyncio, sys, uvloop
from bus.ending import be_a_service

async def stands_still():
    # Told when the task waits: of one that is at work, only its outermost function is known.
    asyncio.get_running_loop().call_soon(sys.stdout.write, "ready\\n")
    asyncio.get_running_loop().call_soon(sys.stdout.flush)
    await asyncio.Event().wait()

be_a_service()
uvloop.run(stands_still())
"""


def test_a_service_tells_when_it_is_sent_a_signal_and_goes_on() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVICE], stdout=-1, stderr=-1, text=True) as service:
        assert service.stdout is not None
        assert service.stderr is not None
        service.stdout.readline()
        for _ in range(2):
            service.send_signal(signal.SIGUSR2)
            for line in service.stderr:
                if "stands_still (" in line:
                    break
            else:
                pytest.fail("the service has ended")
        service.kill()
