"""Programs written in Go that check our files: installed ones, or built once from the module proxy and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CACHE = Path("~/.cache/trackly-tests").expanduser()

BUILD_TIMEOUT = 540
"""Seconds. A first build of Helm takes one to three minutes on two cores."""


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Keep other processes from making the same program at the same time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def go_tool(name: str, package: str, version: str) -> str:
    """Return a program's path: on PATH, built earlier, or built now. Skips the test, and says so, if there is none."""
    if (installed := shutil.which(name)) is not None:
        return installed
    program = CACHE / "go" / version / name
    with alone(name):
        if not program.exists():
            _build(name, f"{package}@{version}", program.parent)
    return str(program)


def go_program(name: str, source: Path) -> str:
    """Return the path of a program whose module is in a folder. Skips the test, and says so, if it cannot be built."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(source.iterdir()))).hexdigest()[:16]
    program = CACHE / "go" / digest / name
    with alone(name):
        if not program.exists():
            _build(name, ".", program.parent, source)
    return str(program)


def _build(name: str, module: str, folder: Path, source: Path | None = None) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip(f"neither {name} nor Go is on this machine: what {name} would judge was NOT checked")
    # Other tests run at the same time, and some of them wait for brokers: they have priority.
    command = [*(["nice", "-n", "19"] if shutil.which("nice") else []), go, "install", module]
    # Built next to its destination, and moved when complete.
    beside = folder.with_name(f"{folder.name}.{os.getpid()}")
    environment = {**os.environ, "GOBIN": str(beside), "GOFLAGS": ""}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=BUILD_TIMEOUT, env=environment, cwd=source
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{name} was not built within {BUILD_TIMEOUT} s: what it would judge was NOT checked")
    if done.returncode:
        pytest.skip(f"{name} cannot be built, what it would judge was NOT checked: {done.stderr[-300:]}")
    folder.mkdir(parents=True, exist_ok=True)
    (beside / name).rename(folder / name)
    beside.rmdir()
