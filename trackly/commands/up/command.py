"""`trackly up`: everything on this machine, as separate processes."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Annotated

import typer

from accounts.secrets import keep_key
from bus.admin import Admin
from bus.embedded.broker import EmbeddedKafka, EmbeddedKafkaError, free_port
from bus.private import keep_private
from bus.settings import BusSettings
from bus.up_files import ADDRESSES, EVIDENCE_KEY_FILE, KEY_FILE
from console.signin.first import FILE
from trackly.commands.environment import invalid_values, misspelled_names
from trackly.commands.settings import SERVICES
from trackly.commands.up.supervisor import Service, Supervisor
from trackly.errors import Failed

DEVELOPMENT_PARTITIONS = 4
"""Partitions on the embedded broker unless TRACKLY_PARTITIONS says otherwise: one machine needs no more."""

LOCK = "up.lock"
"""In the data directory: locked by the `trackly up` that uses it."""

BROKER_WAIT = 10.0
"""Seconds after which a broker that has ended is started again: a full disk is not freed at once."""

READY_TIMEOUT = 90.0
"""Seconds within which every service must be ready."""


class Stack:
    """The broker and the services of one machine. Without a `console_port`, there is no console and no read model."""

    def __init__(
        self,
        data: Path,
        *,
        port: int,
        console_port: int | None = None,
        streams: int = 1,
        sinks: int = 1,
        fast_broker: bool = True,
    ) -> None:
        self.data = data.resolve()
        self.port = port
        self.console_port = console_port
        self._counts = {"streams": streams, "sinks": sinks}
        self._fast_broker = fast_broker
        self._lock: IO[bytes] | None = None
        self._has_addresses = False
        self.broker: EmbeddedKafka | None = None
        self.environment: dict[str, str] = {}
        self.supervisor = Supervisor(lambda _: None)
        self._report: Callable[[str], None] = lambda _: None
        self._broker_at: float | None = None

    def start(self, report: Callable[[str], None]) -> None:
        """Start everything and wait until it is ready. Raises Failed if a service is not, with the reason, or if the
        directory or a port is in use."""
        self.supervisor, self._report = Supervisor(report), report
        if keep_private(self.data):
            report(f"{self.data} was open to other users of this machine; it is now closed (mode 0700)")
        self._acquire()
        self._check_settings()
        self._check_ports()
        (self.data / "logs").mkdir(exist_ok=True)
        if not os.environ.get("TRACKLY_SECRET_KEYS") and keep_key(self.data / KEY_FILE):
            report(f"created {self.data / KEY_FILE}, which encrypts stored secrets: back it up with the records")
        if not os.environ.get("TRACKLY_EVIDENCE_KEY") and keep_key(self.data / EVIDENCE_KEY_FILE):
            report(f"created {self.data / EVIDENCE_KEY_FILE}, which signs evidence: keep it to verify what was signed")
        self.environment = {
            "TRACKLY_DATA_DIR": str(self.data),
            "KAFKA_BOOTSTRAP_SERVERS": self._broker(report),
        }
        if self.broker is not None and not os.environ.get("TRACKLY_PARTITIONS"):
            self.environment["TRACKLY_PARTITIONS"] = str(DEVELOPMENT_PARTITIONS)
        self._write_addresses()
        with _environment(self.environment):
            settings = BusSettings()
            with Admin(settings) as admin:
                changes = admin.apply(settings.catalogue)
        for change in changes:
            if change.action == "differs":
                report(f"topic {change.topic}: {change.detail}")
        report(f"{len(changes)} topics are ready")
        self._add("ingest", ["ingest"], {"TRACKLY_INGEST_PORT": str(self.port)}, self.port)
        if self.console_port is not None:
            own = {"TRACKLY_CONSOLE_PORT": str(self.console_port)}
            self._add("console", ["console"], own, self.console_port)
            health = free_port()
            self._add("read-model", ["read-model"], {"TRACKLY_READ_MODEL_PORT": str(health)}, health)
        for kind, count in self._counts.items():
            for number in range(1, count + 1):
                health = free_port()
                variable = f"TRACKLY_{kind.upper()}_PORT"
                own = {variable: str(health), "TRACKLY_INSTANCE_ID": f"{kind}-{number}"}
                self._add(f"{kind}-{number}", [kind], own, health)
        late = self.supervisor.wait_ready(READY_TIMEOUT)
        if late:
            service = late[0]
            raise Failed(
                f"{service.name} is not ready after {READY_TIMEOUT:.0f} s. The end of {service.log_path}:\n"
                f"{service.last_lines()}"
            )

    def tend(self) -> None:
        """Start again what has ended: the broker, without which every service waits, and services."""
        if self.broker is not None and not self.broker.is_alive():
            self._start_broker_again(self.broker)
        self.supervisor.tend()

    def _start_broker_again(self, broker: EmbeddedKafka) -> None:
        now = time.monotonic()
        if self._broker_at is None:
            self._report(f"the broker ended; starting it again in {BROKER_WAIT:g} s. Its log: {broker.log_path}")
            self._broker_at = now + BROKER_WAIT
        elif now >= self._broker_at:
            try:
                broker.start(self._report)
            except EmbeddedKafkaError as error:
                self._report(f"{error}\nThe next attempt is in {BROKER_WAIT:g} s.")
                self._broker_at = time.monotonic() + BROKER_WAIT
            else:
                self._broker_at = None

    @property
    def console_url(self) -> str:
        """Return the console's URL."""
        return f"http://127.0.0.1:{self.console_port}"

    def stop(self) -> None:
        """Stop the services, then the broker. Does nothing if another stack uses the directory."""
        if self._lock is None:
            return
        self.supervisor.stop()
        if self.broker is not None:
            self.broker.stop()
            self.broker = None
        if self._has_addresses:  # otherwise they are those of a `trackly broker`
            (self.data / ADDRESSES).unlink(missing_ok=True)
        self._lock.close()
        self._lock = None

    def _acquire(self) -> None:
        lock = (self.data / LOCK).open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise Failed(
                f"{self.data} is in use by another `trackly up`: stop that one, or choose another directory with "
                "TRACKLY_DATA_DIR."
            ) from None
        self._lock = lock

    def _check_settings(self) -> None:
        # A service that refuses a value ends at each start, and only its log says why.
        for line in misspelled_names(os.environ):
            self._report(line)
        with _environment({"TRACKLY_DATA_DIR": str(self.data)}):
            problems = invalid_values(each for service, each in SERVICES.items() if service != "mirror")
        if problems:
            raise Failed("\n".join(problems))

    def _check_ports(self) -> None:
        # Another trackly on the port would answer that it is ready, and take the callbacks.
        for service, port, option in (
            ("ingest", self.port, "--port"),
            ("console", self.console_port, "--console-port"),
        ):
            host = os.environ.get(f"TRACKLY_{service.upper()}_HOST") or "127.0.0.1"
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                if port:
                    socket.create_server((host, port), family=family).close()
            except OSError as error:
                raise Failed(
                    f"{service} cannot listen on {host}:{port}: {_reason(error)}. Choose another port with {option}."
                ) from None

    def _broker(self, report: Callable[[str], None]) -> str:
        given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        if given:
            return given
        self.broker = EmbeddedKafka(self.data / "kafka", fast_start=self._fast_broker)
        return self.broker.start(report)

    def _write_addresses(self) -> None:
        addresses = {
            "bootstrap_servers": self.environment["KAFKA_BOOTSTRAP_SERVERS"],
            "partitions": self.environment.get("TRACKLY_PARTITIONS"),
            "topic_prefix": os.environ.get("TRACKLY_TOPIC_PREFIX"),
            "ingest_url": f"http://127.0.0.1:{self.port}",
            "console_url": f"http://127.0.0.1:{self.console_port}" if self.console_port else None,
        }
        self._has_addresses = True
        (self.data / ADDRESSES).write_text(json.dumps({k: v for k, v in addresses.items() if v}, indent=2) + "\n")

    def _add(self, name: str, arguments: list[str], own: dict[str, str], health_port: int) -> None:
        log_path = self.data / "logs" / f"{name}.log"
        self.supervisor.add(Service(name, arguments, {**self.environment, **own}, log_path, health_port))


def up(
    data: Annotated[Path | None, typer.Option(help="Directory for records, tables, and logs.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port for provider callbacks.")] = 8080,
    console_port: Annotated[int, typer.Option(min=1, max=65_535, help="Port for the console and the API.")] = 8081,
    streams: Annotated[int, typer.Option(min=1, help="Number of streams workers.")] = 1,
    sinks: Annotated[int, typer.Option(min=1, help="Number of sinks workers.")] = 1,
) -> None:
    """Run everything on this machine: broker (unless KAFKA_BOOTSTRAP_SERVERS is set), ingest, streams, sinks, and
    console with its read model.

    The broker trusts every user of this machine: it has no password.
    """
    directory = data or Path(os.environ.get("TRACKLY_DATA_DIR") or "data")
    stack = Stack(directory, port=port, console_port=console_port, streams=streams, sinks=sinks)
    stopping = _stop_signals()
    try:
        stack.start(_say)
        _say(_welcome(stack))
        while not stopping():
            stack.tend()
            time.sleep(0.2)
        _say("stopping: work in progress is finished first")
    finally:
        stack.stop()


def _welcome(stack: Stack) -> str:
    base = f"http://127.0.0.1:{stack.port}"
    link = stack.data / FILE
    services = "  ".join(f"{each.name} {each.health_port}" for each in stack.supervisor.services.values())
    first = f"   the first admin's link: {link}" if link.exists() else ""
    return "\n".join(
        [
            "",
            "trackly is up.",
            f"  callbacks  {base}/api/webhook-feedbacks/PROVIDER?account=ID   see `trackly providers list`",
            f"  console    {stack.console_url}{first}",
            f"  API        {stack.console_url}/api/openapi.json   describes it",
            f"  ports      {services}   each serves /readyz and /metrics on 127.0.0.1",
            f"  broker     {stack.environment['KAFKA_BOOTSTRAP_SERVERS']}"
            f"{'   every user of this machine can read and write its records' if stack.broker else ''}",
            f"  data       {stack.data}   logs {stack.data / 'logs'}",
            f"Next: TRACKLY_DATA_DIR={stack.data} trackly apply accounts.toml",
            "Ctrl-C stops everything.",
        ]
    )


def _reason(error: OSError) -> str:
    # Python's own text repeats the address.
    return os.strerror(error.errno) if error.errno else str(error)


def _say(text: str) -> None:
    print(text, flush=True)


def _stop_signals() -> Callable[[], bool]:
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if seen and number == signal.SIGINT:
            sys.exit("stopped at once; nothing is lost, and unfinished work is repeated at the next start")
        seen.append(number)

    signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, note)
    return lambda: bool(seen)


@contextmanager
def _environment(extra: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in extra}
    os.environ.update(extra)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
