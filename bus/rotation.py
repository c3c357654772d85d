"""Rotating logs for child processes: a small process copies their output to a file of bounded size.

It is a process, not a thread, so that output survives the death of the parent: it exits once no process is left that
could write, after copying everything. Standard library only, because it runs as a script.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

MOST_BYTES = 16 << 20
"""Bytes after which a new log begins, at the end of a line."""

KEPT = 4
"""Number of old logs to keep; NAME.1 is the newest."""

PIECE = 64 << 10
END_SECONDS = 5.0


class Log:
    """A file to append to. What cannot be written, for example to a full disk, is counted and reported once
    possible."""

    def __init__(self, path: Path, most: int = MOST_BYTES, kept: int = KEPT) -> None:
        self._path = path
        self._most = most
        self._kept = kept
        self._lost = 0
        self._is_in_line = False
        self._file = _open(path)
        self._size = os.fstat(self._file).st_size

    def write(self, data: bytes) -> None:
        """Append output. Never raises: the writing process must not block on a full disk."""
        try:
            if self._lost:
                self._append(b"[%d bytes could not be written here]\n" % self._lost)
                self._lost = 0
            while data:
                # Output without line ends must not let the file grow forever.
                if self._size >= self._most + (PIECE if self._is_in_line else 0):
                    with suppress(OSError):  # no new log, so this one grows
                        self._rotate()
                room = max(1, self._most - self._size)
                end = data.find(b"\n", room - 1) + 1 or len(data)
                self._append(data[:end])
                data = data[end:]
        except OSError:
            self._lost += len(data)

    def close(self) -> None:
        """Finish: no more output follows."""
        os.close(self._file)

    def _append(self, data: bytes) -> None:
        self._is_in_line = not data.endswith(b"\n")
        while data:
            written = os.write(self._file, data)
            self._size += written
            data = data[written:]

    def _rotate(self) -> None:
        names = [self._path.with_name(f"{self._path.name}.{number}") for number in range(1, self._kept + 1)]
        following = self._path.with_name(f"{self._path.name}.next")
        new = _open(following)  # opened first, so that a full disk changes nothing
        for older, newer in zip(reversed(names), [*reversed(names[:-1]), self._path], strict=True):
            with suppress(FileNotFoundError):
                newer.replace(older)
        following.replace(self._path)
        os.close(self._file)
        self._file, self._size = new, 0


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


class Output:
    """The output of one or more processes, as a rotating log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._copying: subprocess.Popen[bytes] | None = None

    def open(self) -> IO[bytes]:
        """File descriptor for a process's `stdout` and `stderr`."""
        if self._copying is None or self._copying.poll() is not None:
            self.finish()
            command = [sys.executable, "-I", "-S", __file__, str(self._path)]
            # In its own session, so that Ctrl-C and Ctrl-Z in a terminal do not reach it.
            self._copying = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
            )
        assert self._copying.stdin is not None
        return self._copying.stdin

    def finish(self) -> None:
        """Wait until all output is in the log, unless somebody keeps writing."""
        if self._copying is None:
            return
        assert self._copying.stdin is not None
        self._copying.stdin.close()
        try:
            self._copying.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._copying.kill()
            self._copying.wait()
        self._copying = None


def main(path: Path, source: int = 0) -> None:
    """Copy until the end of the input."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    log = Log(path)
    while data := os.read(source, PIECE):
        log.write(data)
    log.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
