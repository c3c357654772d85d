"""A process that must end does end, whatever hangs. Each case is a separate process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

import pytest

HANGS = {
    "the main thread": "time.sleep(60)",
    "a computation": "\nwhile True: pass",
    "a thread that the interpreter waits for": "threading.Thread(target=time.sleep, args=(60,)).start()",
    "a lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "the event loop": "asyncio.run(asyncio.sleep(60))",
    "a thread of the event loop": """
        async def main():
            asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
        asyncio.run(main())""",
    "a signal that is refused": "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
}


def run(program: str) -> subprocess.CompletedProcess[str]:
    head = "import asyncio, signal, threading, time\nfrom bus.ending import be_a_service, end_within\n"
    return subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(program)], capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
def test_a_process_that_hangs_ends_at_its_deadline(hang: str) -> None:
    began = time.monotonic()
    ended = run("be_a_service()\nend_within(0.3, 'crashed by Test')\n" + textwrap.dedent(hang))
    assert ended.returncode == 1
    assert "crashed by Test, but the process has not exited" in ended.stderr
    assert "most recent call first" in ended.stderr
    assert time.monotonic() - began < 15


def test_the_earlier_of_two_deadlines_counts() -> None:
    ended = run(
        "be_a_service()\nend_within(50, 'stopping')\nend_within(0.2, 'crashed')\nend_within(40, 'late')\ntime.sleep(60)"
    )
    assert ended.returncode == 1
    assert "crashed, but" in ended.stderr


def test_a_process_that_ends_by_itself_keeps_its_exit_code() -> None:
    ended = run("be_a_service()\nend_within(50, 'stopping')\nraise SystemExit(3)")
    assert (ended.returncode, ended.stderr) == (3, "")


def test_a_process_that_is_no_service_has_no_deadline() -> None:
    assert run("end_within(0.05, 'crashed')\ntime.sleep(0.3)").returncode == 0
