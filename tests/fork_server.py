"""Starts services as forks of a process that has imported them, which takes them longer than everything else at start.

Each service is a process of its own, with its arguments and environment, as after `python -m trackly`. There is a
server for each kind of service, so that a service has imported only what it needs.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

IMPORTED = {
    "ingest": ("trackly.commands.ingest", "ingest.app", "ingest.settings"),
    "streams": ("trackly.commands.streams", "bus.worker.run", "streams.app", "streams.settings"),
    "sinks": ("trackly.commands.sinks", "bus.worker.run", "sinks.app", "sinks.settings"),
    "console": ("trackly.commands.console", "console.app", "console.settings"),
    "read-model": ("trackly.commands.read_model",),
}
"""What each service imports before it reads its settings."""

_AT_IMPORT = ("PYTHON", "LD_", "MALLOC_", "OTEL_")
"""Beginnings of variables that must be set before anything is imported."""

_LONGEST = 1 << 18
"""Bytes of a message: a service's whole environment is in it."""


def can_fork(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a service can be forked: it must not need an environment of its own while it is imported."""
    own = {name for name, value in environment.items() if os.environ.get(name) != value}
    return sys.platform == "linux" and arguments[0] in IMPORTED and not any(n.startswith(_AT_IMPORT) for n in own)


def prepare(kinds: Iterable[str]) -> None:
    """Begin to import these services, each in a server of its own."""
    for kind in kinds:
        _server_of(kind)


def forked(arguments: Sequence[str], environment: Mapping[str, str], output: int) -> Forked:
    """Start a service that `can_fork`; its output goes to a file descriptor. It is killed with this process."""
    return _server_of(arguments[0]).start(arguments, environment, output)


def start(arguments: Sequence[str], environment: Mapping[str, str], output: int) -> Process:
    """Start any service; its output goes to a file descriptor."""
    if can_fork(arguments, environment):
        return forked(arguments, environment, output)
    command = [sys.executable, "-m", "trackly", *arguments]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


class Forked:
    """A started process: of `subprocess.Popen`, what tests use."""

    def __init__(self, server: _Server, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server
        self._end = os.pidfd_open(pid)
        self._one_at_a_time = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        if self.returncode is None and select.select([self._end], [], [], 0)[0]:
            self._collect()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return the exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None and not select.select([self._end], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired([str(self.pid)], timeout or 0.0)
        return self._collect()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _collect(self) -> int:
        with self._one_at_a_time:
            if self.returncode is None:
                self.returncode = self._server.exit_code(self.pid)
                os.close(self._end)
            return self.returncode


class _Server:
    """The tests' end of a server."""

    def __init__(self, kind: str) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._one_at_a_time = threading.Lock()
        with theirs:
            command = [sys.executable, "-m", "tests.fork_server", str(theirs.fileno()), kind]
            # In a session of its own: Ctrl-C reaches only the tests, and the server ends with them.
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
            )
        atexit.register(self._stop)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], output: int) -> Forked:
        asked = {"arguments": list(arguments), "environment": dict(environment), "directory": str(Path.cwd())}
        return Forked(self, self._ask(asked, [output]))

    def exit_code(self, pid: int) -> int:
        return self._ask({"ended": pid}, [])

    def _ask(self, question: dict[str, Any], descriptors: list[int]) -> int:
        with self._one_at_a_time:
            socket.send_fds(self._channel, [json.dumps(question).encode()], descriptors)
            return int(self._channel.recv(_LONGEST))

    def _stop(self) -> None:
        self._channel.close()
        self._process.wait()


Process = Forked | subprocess.Popen[bytes]


@cache
def _server_of(kind: str) -> _Server:
    return _Server(kind)


def _serve(channel: socket.socket) -> None:
    """Answer until the tests end. Returns in each started service, too."""
    ours = os.getpid()
    while os.getpid() == ours:
        message, descriptors, _, _ = socket.recv_fds(channel, _LONGEST, 1)
        if not message:
            return
        asked = json.loads(message)
        if "ended" in asked:
            _, status = os.waitpid(asked["ended"], 0)
            channel.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        (output,) = descriptors
        pid = os.fork()
        if pid == 0:
            _become(ours, output, **asked)
        else:
            channel.send(str(pid).encode())
        os.close(output)


def _become(parent: int, output: int, arguments: list[str], environment: dict[str, str], directory: str) -> None:
    """Make this fork what a new process with these arguments would be."""
    os.setsid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = ["trackly", *arguments]


def main() -> None:
    """Import a service, start as many as the tests ask for, and run each in its own process."""
    gc.disable()
    import_module("trackly.cli")
    for module in IMPORTED[sys.argv[2]]:
        import_module(module)
    gc.freeze()
    gc.enable()
    ours = os.getpid()
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        _serve(channel)
    if os.getpid() != ours:
        runpy.run_module("trackly", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
