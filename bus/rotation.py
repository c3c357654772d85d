"""Logs of processes that rotate: a small process copies what they print to a file of bounded size.

It is a process and no thread, so that nothing is lost whatever becomes of who started it: it ends when nobody is left
who could print, and has written all of it by then. Standard library only, since it runs as a script.
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
"""Size of a log at which the next one begins, at the end of a line."""

KEPT = 4
"""Logs that are kept beside it: NAME.1 is the newest of them."""

PIECE = 64 << 10
END_SECONDS = 5.0


class Log:
    """A file that is appended to. What cannot be written, as on a full disk, is counted, and said when it can be."""

    def __init__(self, path: Path, most: int = MOST_BYTES, kept: int = KEPT) -> None:
        self._path = path
        self._most = most
        self._kept = kept
        self._lost = 0
        self._is_in_line = False
        self._file = _open(path)
        self._size = os.fstat(self._file).st_size

    def write(self, data: bytes) -> None:
        """Append what was printed. Whoever prints must never wait for a disk that takes nothing: no error is raised."""
        try:
            if self._lost:
                self._append(b"[%d bytes could not be written here]\n" % self._lost)
                self._lost = 0
            while data:
                # A line without an end does not let the file grow for ever.
                if self._size >= self._most + (PIECE if self._is_in_line else 0):
                    with suppress(OSError):  # no new log: this one grows
                        self._rotate()
                room = max(1, self._most - self._size)
                end = data.find(b"\n", room - 1) + 1 or len(data)
                self._append(data[:end])
                data = data[end:]
        except OSError:
            self._lost += len(data)

    def close(self) -> None:
        """Nothing more comes."""
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
        new = _open(following)  # first, so that a disk without room lets everything stay as it is
        for older, newer in zip(reversed(names), [*reversed(names[:-1]), self._path], strict=True):
            with suppress(FileNotFoundError):
                newer.replace(older)
        following.replace(self._path)
        os.close(self._file)
        self._file, self._size = new, 0


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


class Output:
    """What processes print to, one after the other or several at once: a log that rotates."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._copying: subprocess.Popen[bytes] | None = None

    def open(self) -> IO[bytes]:
        """For `stdout` and `stderr` of a process."""
        if self._copying is None or self._copying.poll() is not None:
            self.finish()
            command = [sys.executable, "-I", "-S", __file__, str(self._path)]
            # In a session of its own: Ctrl-C and Ctrl-Z in a terminal are not for it.
            self._copying = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
            )
        assert self._copying.stdin is not None
        return self._copying.stdin

    def finish(self) -> None:
        """Wait until all of what was printed stands in the log, unless somebody goes on printing."""
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
