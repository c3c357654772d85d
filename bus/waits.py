"""Reports what every task of a process is waiting for, so that a hanging process can be diagnosed before it is killed.

`kill -USR2 PID` writes one line per task to standard error, from the outermost function to the one that waits.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

_DEEPEST = 30
"""Maximum functions reported per task."""

_NAMES = {"frame": ("cr_frame", "gi_frame", "ag_frame"), "await": ("cr_await", "gi_yieldfrom", "ag_await")}


def tell_on_request() -> None:
    """Write what tasks wait for to standard error on SIGUSR2. Call it in a service's main thread."""
    signal.signal(signal.SIGUSR2, _tell)


def _tell(number: int, frame: FrameType | None) -> None:
    lines = sorted(waits())
    text = "\n  ".join((f"{len(lines)} tasks wait:", *lines)) + "\n"
    # Bypass Python's buffers, because the signal may have interrupted a write to them.
    os.write(2, text.encode())


def waits() -> Iterator[str]:
    """Return a line for each unfinished task of all threads: its name and its stack of awaits."""
    for found in gc.get_objects():
        if isinstance(found, asyncio.Task) and not found.done():
            yield f"{found.get_name()}: {' > '.join(_places(found.get_coro()))}"


def _places(awaited: Any) -> Iterator[str]:
    for _ in range(_DEEPEST):
        frame = _attribute(awaited, "frame")
        if frame is None:
            if awaited is not None:
                yield type(awaited).__name__
            return
        code = frame.f_code
        yield f"{code.co_qualname} ({'/'.join(code.co_filename.rsplit('/', 2)[-2:])}:{frame.f_lineno})"
        awaited = _attribute(awaited, "await")


def _attribute(awaited: Any, name: str) -> Any:
    """Return the frame of a coroutine, generator, or asynchronous generator, or what it awaits; None if it has none."""
    if type(awaited).__name__ == "async_generator_asend":  # it has no such attribute
        awaited = next((found for found in gc.get_referents(awaited) if hasattr(found, "ag_frame")), None)
    return next((value for each in _NAMES[name] if (value := getattr(awaited, each, None)) is not None), None)
