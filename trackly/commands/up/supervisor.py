"""Runs the services of one machine as separate processes, and restarts those that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from bus.alive import Patience, ask
from bus.child_processes import dying_with_parent
from bus.rotation import Output

BACKOFF = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before a process is restarted; the last value repeats. After a minute of life, the delays start over."""

STOP_TIMEOUT = 25.0
"""Seconds that a process has after SIGTERM to finish its work; then it is killed."""

MOST_SAID = 500
"""Characters of a log's last line in a report."""

LOOK_EVERY = 5.0
"""Seconds between health checks of a running process."""


@dataclass
class Service:
    """One process: `trackly` with these arguments and this environment, its rotating log file, and its health port.

    `module` is the Python module that gets the arguments.
    """

    name: str
    arguments: list[str]
    environment: Mapping[str, str]
    log_path: Path
    health_port: int
    module: str = "trackly"
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    started_at: float = 0.0
    start_after: float = 0.0
    patience: Patience = field(default_factory=Patience)
    looked_at: float = 0.0
    _output: Output = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._output = Output(self.log_path)

    def start(self) -> None:
        """Start the process; its output goes to the log file."""
        self.process = self.launch({**os.environ, **self.environment}, self._output.open())
        self.starts += 1
        self.started_at = self.looked_at = time.monotonic()
        self.patience = Patience()

    def launch(self, environment: dict[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Return a new process with this output."""
        return subprocess.Popen(
            dying_with_parent([sys.executable, "-m", self.module, *self.arguments]),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def is_ready(self) -> bool:
        """Whether `/readyz` answers 200."""
        return self.is_alive() and ask(self.health_port).ready

    def is_dead(self, now: float) -> bool:
        """Whether the process runs, but has not been ready for so long that it must be restarted."""
        if now - self.looked_at < LOOK_EVERY:
            return False
        self.looked_at = now
        return self.patience.is_over(ask(self.health_port), now)

    def signal(self, number: int) -> None:
        """Send a signal to the process, if it runs."""
        if self.process is not None and self.is_alive():
            self.process.send_signal(number)

    def stop(self) -> None:
        """SIGTERM, wait, then SIGKILL."""
        if self.process is not None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._output.finish()

    def last_lines(self, count: int = 5) -> str:
        """Return the end of the log, for an error message."""
        if not self.is_alive():
            self._output.finish()
        return "\n".join(self.log_path.read_text("utf-8", "replace").splitlines()[-count:])


class Supervisor:
    """Keeps services running. Call `tend` often; `report` gets a sentence about each event."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self.services: dict[str, Service] = {}
        self._report = report

    def add(self, service: Service) -> Service:
        """Add a service and start it."""
        self.services[service.name] = service
        service.start()
        return service

    def tend(self) -> None:
        """Restart dead processes whose delay is over; kill those that have not been ready for a long time."""
        now = time.monotonic()
        for service in self.services.values():
            if service.is_alive():
                if service.is_dead(now):
                    self._report(f"{service.name} has not been ready for a long time; killing it")
                    service.signal(signal.SIGKILL)
                if now - service.started_at > 60:
                    service.starts = 1
                continue
            if not service.start_after:
                wait = BACKOFF[min(service.starts - 1, len(BACKOFF) - 1)]
                service.start_after = now + wait
                code = service.process.returncode if service.process else None
                said = f"{service.name} ended ({_ending(code)}); starting it again in {wait:g} s"
                self._report(f"{said}. Its log, {service.log_path}, ends with: {service.last_lines(1)[:MOST_SAID]}")
            elif now >= service.start_after:
                service.start_after = 0.0
                service.start()

    def wait_ready(self, timeout: float) -> list[Service]:
        """Wait until every service is ready; returns those that are not after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        waiting = list(self.services.values())
        while waiting and time.monotonic() < deadline:
            self.tend()
            waiting = [service for service in waiting if not service.is_ready()]
            time.sleep(0.1)
        return waiting

    def stop(self) -> None:
        """Stop all services in the order they were added, so that intake stops first."""
        for service in self.services.values():
            service.stop()


def _ending(code: int | None) -> str:
    if code is None:
        return "it never started"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
