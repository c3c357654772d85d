"""Logs of bounded size contain whatever a process prints, in whole lines."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bus import rotation
from bus.rotation import Log, Output


def written(path: Path, count: int) -> list[bytes]:
    """The logs, the oldest first."""
    names = [*(path.with_name(f"{path.name}.{number}") for number in range(count, 0, -1)), path]
    return [name.read_bytes() for name in names if name.exists()]


def test_a_new_log_begins_at_the_end_of_a_line(tmp_path: Path) -> None:
    log = Log(tmp_path / "x.log", most=10, kept=4)
    for piece in (b"one\ntw", b"o\nthree\nfour\nfive", b"\nsix\n"):
        log.write(piece)
    log.close()
    assert written(tmp_path / "x.log", 4) == [b"one\ntwo\nthree\n", b"four\nfive\n", b"six\n"]


def test_the_oldest_go(tmp_path: Path) -> None:
    log = Log(tmp_path / "x.log", most=3, kept=2)
    log.write(b"".join(b"%03d\n" % number for number in range(10)))
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.log", "x.log.1", "x.log.2"]
    assert written(tmp_path / "x.log", 2) == [b"007\n", b"008\n", b"009\n"]


def test_a_line_without_an_end_does_not_grow_for_ever(tmp_path: Path) -> None:
    log = Log(tmp_path / "x.log", most=10, kept=1)
    for _ in range(4):
        log.write(b"x" * rotation.PIECE)
    log.close()
    assert max(len(each) for each in written(tmp_path / "x.log", 1)) <= 10 + 2 * rotation.PIECE


def test_a_log_is_continued_after_a_restart(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        log = Log(tmp_path / "x.log", most=100)
        log.write(text)
        log.close()
    assert (tmp_path / "x.log").read_bytes() == b"one\ntwo\n"


def test_a_log_is_its_owners_alone(tmp_path: Path) -> None:
    Log(tmp_path / "x.log").close()
    assert stat.S_IMODE((tmp_path / "x.log").stat().st_mode) == 0o600


def test_a_full_disk_stops_nobody_and_is_told_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(tmp_path / "x.log")
    log.write(b"one\n")
    with monkeypatch.context() as full:

        def write(file: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        full.setattr(os, "write", write)
        log.write(b"two\n")
        log.write(b"three\n")
    log.write(b"four\n")
    log.close()
    assert (tmp_path / "x.log").read_bytes() == b"one\n[10 bytes could not be written here]\nfour\n"


def test_where_no_new_log_can_be_made_the_old_one_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path / "x.log", most=3, kept=2)
    log.write(b"001\n002\n003\n")
    with monkeypatch.context() as full:

        def open_(path: Path) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        full.setattr(rotation, "_open", open_)
        log.write(b"004\n005\n")
    log.write(b"006\n")
    log.close()
    assert written(tmp_path / "x.log", 2) == [b"002\n", b"003\n004\n005\n", b"006\n"]


def test_all_of_what_a_process_prints_is_in_the_log_once_it_has_ended(tmp_path: Path) -> None:
    output = Output(tmp_path / "x.log")
    prints = "import os, sys\nfor n in range(20_000): print(n)\nsys.stdout.flush()\nos.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", prints], stdout=output.open(), check=False)
    output.finish()
    assert (tmp_path / "x.log").read_text().splitlines() == [str(number) for number in range(20_000)]


def test_last_words_are_kept_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    prints = (
        "import os, time\nparent = os.getppid()\nos.write(1, b'first\\n')\n"
        "while os.getppid() == parent:\n    time.sleep(0.01)\nos.write(1, b'last\\n')"
    )
    parent = (
        "import subprocess, sys, time\nfrom pathlib import Path\nfrom bus.rotation import Output\n"
        f"output = Output(Path({str(tmp_path / 'x.log')!r}))\n"
        f"subprocess.Popen([sys.executable, '-c', {prints!r}], stdout=output.open())\n"
        "time.sleep(60)"
    )
    started = subprocess.Popen([sys.executable, "-c", parent])
    log = tmp_path / "x.log"
    until(lambda: log.exists() and log.read_bytes() == b"first\n")
    started.send_signal(signal.SIGKILL)
    started.wait()
    until(lambda: log.read_bytes() == b"first\nlast\n")


def until(is_so: object, seconds: float = 15.0) -> None:
    assert callable(is_so)
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
