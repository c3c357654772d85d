"""Shared by tests of the command: its output, and records for it to find."""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from threading import Lock
from typing import Any
from unittest import mock

from accounts.secrets import keyring
from bus.clock import now_ms
from bus.producer import Producer
from bus.settings import BusSettings
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.records import Record
from tests.fork_server import IMPORTED
from tests.patience import PATIENCE
from trackly.cli import main

NOW = now_ms()
Trackly = Callable[..., subprocess.CompletedProcess[str]]
"""Runs the command with these arguments to its end."""


SIGNALED = frozenset((*IMPORTED, "broker", "demo", "mirror", "registry", "up"))
"""Commands that handle signals, which only a process's main thread can."""

_one_at_a_time = Lock()


def run_trackly(arguments: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command to its end: a run's first of each group (`contact`, `topics`...) as a process, as people do.

    The others, except those that handle signals, run in this process, with the same output and exit code, which saves
    the imports of a process.
    """
    if arguments[0] not in SIGNALED and not _is_first(arguments[0]):
        return _run_here(arguments, environment)
    return subprocess.run(
        [sys.executable, "-m", "trackly", *arguments], env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip


def _is_first(group: str) -> bool:
    """Whether no worker of this run has run a command of this group yet."""
    directory = _seen_as_process()
    directory.mkdir(exist_ok=True)  # a worker that has ended removes it
    try:
        (directory / group).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@cache
def _seen_as_process() -> Path:
    """Return a directory in which the workers of a run leave an empty file for each group."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    directory = Path(gettempdir()) / f"trackly-commands-{run}"
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def _run_here(arguments: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    # In a thread of its own: the caller may be in an event loop, and commands run their own.
    with _one_at_a_time, ThreadPoolExecutor(1) as thread:
        return thread.submit(_captured, arguments, environment).result()


def _captured(arguments: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    # Files rather than buffers: the command checks whether anyone reads its output.
    with (
        Path(os.devnull).open(encoding="utf-8") as nothing,
        TemporaryFile("w+", encoding="utf-8") as out,
        TemporaryFile("w+", encoding="utf-8") as err,
    ):
        with (
            mock.patch.multiple(sys, argv=["trackly", *arguments], stdin=nothing, stdout=out, stderr=err),
            mock.patch.dict(os.environ, environment, clear=True),
            _new_process(),
        ):
            code = _exit_code()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
    return subprocess.CompletedProcess(["trackly", *arguments], code, *texts)


def _exit_code() -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


@contextmanager
def _new_process() -> Iterator[None]:
    """Reset the root logger and the secret keys to the state of a new process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    root.setLevel(logging.WARNING)
    keyring.cache_clear()
    try:
        yield
    finally:
        keyring.cache_clear()
        root.handlers[:] = handlers
        root.setLevel(level)


def lines_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def write(settings: BusSettings, topic: str, *records: tuple[bytes, Record | bytes | None]) -> None:
    asyncio.run(_write(settings, topic, records))


async def _write(settings: BusSettings, topic: str, records: Iterable[tuple[bytes, Record | bytes | None]]) -> None:
    codec = Codec(FolderRegistry())
    producer = Producer(settings)
    await producer.start()
    for key, record in records:
        is_record = record is not None and not isinstance(record, bytes)
        await (
            await producer.send(
                settings.catalogue[topic].name,
                codec.encode(record) if is_record else record,  # type: ignore[arg-type]
                key=key,
                headers=event_headers(record, "evt_1", NOW) if is_record else None,  # type: ignore[arg-type]
            )
        )
    await producer.stop()
