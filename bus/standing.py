"""What every task of a process waits for, told on request: a process that stands still is not killed unasked.

`kill -USR2 PID` writes it to standard error: a line a task, from its outermost function to the one that waits.
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
"""Functions of a task that are told."""

_NAMES = {"frame": ("cr_frame", "gi_frame", "ag_frame"), "await": ("cr_await", "gi_yieldfrom", "ag_await")}


def tell_on_request() -> None:
    """Write what tasks wait for to standard error whenever SIGUSR2 comes. For the main thread of a service."""
    signal.signal(signal.SIGUSR2, _tell)


def _tell(number: int, frame: FrameType | None) -> None:
    lines = sorted(standing())
    text = "\n  ".join((f"{len(lines)} tasks wait:", *lines)) + "\n"
    # Past Python's buffers, which the signal may have interrupted a write to.
    os.write(2, text.encode())


def standing() -> Iterator[str]:
    """A line for each task of all threads that has not ended: its name, and where it and what it awaits stand."""
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
    """The frame of a coroutine, generator or asynchronous generator, or what it awaits; None where it has none."""
    if type(awaited).__name__ == "async_generator_asend":  # it is named by nothing else
        awaited = next((found for found in gc.get_referents(awaited) if hasattr(found, "ag_frame")), None)
    return next((value for each in _NAMES[name] if (value := getattr(awaited, each, None)) is not None), None)
