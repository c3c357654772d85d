"""A build of trackly to measure: a checkout, and the processes that its `trackly up` starts.

None of it is imported. It is driven as by users: `trackly up`, `trackly apply`, HTTP. So this bench can measure another
commit.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measure import compiling_seconds, cpu_seconds
from bench.probe.sitecustomize import QUIET
from bus.embedded.broker import free_port

ROOT = Path(__file__).parents[1]
PROBE = Path(__file__).parent / "probe"
START_TIMEOUT = 150.0

LOOK_EVERY, AT_REST = 0.2, 0.03
"""Seconds between looks at a process, and seconds of processor time in between of one that is at rest."""

ENVIRONMENT = {
    "TRACKLY_ALLOW_HTTP": "true",
    "TRACKLY_ALLOW_SUBNETS": "127.0.0.0/8",
    # The posted callbacks are not authenticated.
    "TRACKLY_UNPROVEN_RATE": "1000000",
    "TRACKLY_UNPROVEN_BYTES": str(1 << 30),
    # Webhooks that fail under one load must not be retried under another one.
    "TRACKLY_RETRY_SCHEDULE": "10m,1h",
    # Otherwise the time of an ended compiler thread is lost.
    "JAVA_TOOL_OPTIONS": "-XX:-UseDynamicNumberOfCompilerThreads",
}


@dataclass(frozen=True)
class Build:
    """A checkout, and the Python that runs it."""

    root: Path = ROOT
    python: Path = Path(sys.executable)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of its commands."""
        return {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(map(str, (PROBE, self.root)))}


@contextmanager
def build_of(place: str, directory: Path) -> Iterator[Build]:
    """Yield the build at a path, or of a commit of this repository, which is temporarily checked out into `directory`.

    It runs in its own .venv if it has one, or else in ours.
    """
    path = Path(place).resolve()
    if (path / "trackly").is_dir():
        own = path / ".venv" / "bin" / "python"
        yield Build(path, own if own.exists() else Path(sys.executable))
        return
    checkout = directory / "against"
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(checkout), place], check=True)
    try:
        yield Build(checkout)
    finally:
        subprocess.run([*git, "remove", "--force", str(checkout)], check=True)


@dataclass
class Snapshot:
    """The work of a build's processes so far: processor seconds by service, and the probe's counts."""

    at: float = field(default_factory=time.monotonic)
    cpu: dict[str, float] = field(default_factory=dict)
    compiling: float = 0.0
    requests: Counter[str] = field(default_factory=Counter)
    collecting: dict[str, float] = field(default_factory=dict)
    pauses: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """By service: monotonic time and ms of long collections."""
    lags: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


class Running:
    """A `trackly up` that is ready. `port` is ingest's."""

    def __init__(self, build: Build, directory: Path) -> None:
        self.port = free_port()
        self._build = build
        self._directory = directory
        self._probes = directory / "probes"
        self._probes.mkdir()
        (directory / "data").mkdir(mode=0o700)
        ports = ["--port", str(self.port), "--console-port", str(free_port())]
        self._up = subprocess.Popen(
            [str(build.python), "-m", "trackly", "up", "--data", str(directory / "data"), *ports],
            cwd=directory,
            env={**build.environment, "BENCH_PROBE": str(self._probes)},
            stdout=(directory / "up.log").open("wb"),
            stderr=subprocess.STDOUT,
        )
        self.pids: dict[str, int] = {}
        """Process ids by service; `up` started the others."""
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def apply(self, accounts: str) -> None:
        """Apply a TOML file of accounts, and wait long enough for all services to read them."""
        path = self._directory / "accounts.toml"
        path.write_text(accounts)
        environment = {**self._build.environment, "TRACKLY_DATA_DIR": str(self._directory / "data")}
        command = [str(self._build.python), "-m", "trackly", "apply", str(path), "--yes"]
        applied = subprocess.run(command, cwd=self._directory, env=environment, capture_output=True, text=True)
        if applied.returncode:
            raise RuntimeError(f"the accounts are not applied:\n{applied.stderr}")
        time.sleep(3)

    def look(self) -> Snapshot:
        """Return the work so far."""
        time.sleep(1.1)  # the probes write once a second
        found = Snapshot(cpu={name: cpu_seconds(pid) for name, pid in self.pids.items()})
        if "kafka" in self.pids:
            found.compiling = compiling_seconds(self.pids["kafka"])
        for name, pid in self.pids.items():
            path = self._probes / f"{pid}.json"
            if name != "up" and path.exists():
                probe: dict[str, Any] = json.loads(path.read_text())
                found.requests.update({f"{name} {kind}": count for kind, count in probe["requests"].items()})
                found.collecting[name] = probe["collected"]["ms"] / 1_000
                found.pauses[name] = [(at, ms) for at, ms in probe["pauses"]]
                found.lags[name] = [(at, ms) for at, ms in probe["lags"]]
        return found

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Let the probes cost nearly nothing."""
        quiet = self._probes / QUIET
        quiet.touch()
        time.sleep(2.2)  # they look once a second
        try:
            yield
        finally:
            quiet.unlink()

    def settle(self, most: float = 30.0) -> None:
        """Wait until the read model has written everything: it runs behind the webhooks."""
        if "read-model" in self.pids:
            wait_for_rest(self.pids["read-model"], 0.6, most)

    def stop(self) -> None:
        """Stop it as with Ctrl-C."""
        self._up.send_signal(signal.SIGINT)
        try:
            self._up.wait(90)
        except subprocess.TimeoutExpired:
            self._up.kill()
            self._up.wait()

    def _wait(self) -> None:
        ends = time.monotonic() + START_TIMEOUT
        while not _is_ready(self.port) or b"trackly is up" not in (self._directory / "up.log").read_bytes():
            if self._up.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"trackly does not start:\n{(self._directory / 'up.log').read_text()}")
            time.sleep(0.2)
        self.pids = {"up": self._up.pid, **_children(self._up.pid)}


def wait_for_rest(pid: int, rests: float, most: float) -> None:
    """Wait until a process has done next to nothing for `rests` seconds, at most `most` seconds."""
    ends = time.monotonic() + most
    last, worked = cpu_seconds(pid), time.monotonic()
    while time.monotonic() < min(ends, worked + rests):
        time.sleep(LOOK_EVERY)
        now = cpu_seconds(pid)
        if now - last > AT_REST:
            worked = time.monotonic()
        last = now


def _children(parent: int) -> Mapping[str, int]:
    """Return the services started by a process, by name."""
    found = {}
    for pid in map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if "kafka.Kafka" in words:
            found["kafka"] = pid
        elif "trackly" in words:
            found[words[words.index("trackly") + 1]] = pid
    return found


def _is_ready(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1).close()
    except (urllib.error.URLError, OSError):
        return False
    return True
