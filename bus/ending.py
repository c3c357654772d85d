"""Ends a process on a deadline, even if something hangs.

The next start repairs whatever a crash leaves behind. A process that crashes without exiting is worse: it answers
`/livez`, holds its partitions, and is never replaced. A last commit may wait for a broker, an agent for a lock, the
interpreter for a thread, so a separate thread watches the clock.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import time

from bus.waits import tell_on_request

log = logging.getLogger(__name__)

CRASH_SECONDS = 20.0
"""Seconds from a crash to the end of the process, for work in progress and the last commit."""

STOP_SECONDS = 55.0
"""Seconds from a stop request to the end. A rebalance waits 20 s for work in progress; orchestrators should allow
60 s."""

_lock = threading.Lock()
_deadline = 0.0


def be_a_service() -> None:
    """Mark this process as a service: deadlines are enforced from now on, and it reports what it waits for on request.
    Other processes, such as tests and commands, have no deadlines."""
    global _deadline
    tell_on_request()
    _deadline = float("inf")


def is_a_service() -> bool:
    """Whether this process is a service."""
    return _deadline > 0.0


def end_within(seconds: float, reason: str) -> None:
    """Exit this service's process with code 1 after this many seconds, unless it has ended by then.

    Of several calls, the earliest deadline holds. Each thread's stack is written to standard error.
    """
    global _deadline
    with _lock:
        deadline = time.monotonic() + seconds
        if deadline >= _deadline:
            return
        _deadline = deadline
    threading.Thread(target=_end, args=(deadline, seconds, reason), name="ending", daemon=True).start()


def _end(deadline: float, seconds: float, reason: str) -> None:
    time.sleep(max(0.0, deadline - time.monotonic()))
    try:
        log.critical("%s, but the process has not exited within %.0f s: exiting now", reason, seconds)
        faulthandler.dump_traceback(sys.__stderr__ or 2)
    finally:
        os._exit(1)
