"""The end of a process, whatever hangs.

What a crash leaves behind is mended by the next start. A process that crashes and does not end is worse: it answers
`/livez`, holds its partitions, and nobody starts another. A last commit may wait for a broker, an agent for a lock, the
interpreter for a thread; so a thread of its own counts the time.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import time

from bus.standing import tell_on_request

log = logging.getLogger(__name__)

CRASH_SECONDS = 20.0
"""From a crash to the end of the process: time for work in progress and the last commit."""

STOP_SECONDS = 55.0
"""From the wish to stop to the end. A rebalance waits 20 s for work in progress; orchestrators should wait 60 s."""

_lock = threading.Lock()
_deadline = 0.0


def be_a_service() -> None:
    """This process is a service: deadlines count from now on, and it tells on request what it waits for. Elsewhere,
    as in a test or a command, they do not."""
    global _deadline
    tell_on_request()
    _deadline = float("inf")


def is_a_service() -> bool:
    """Whether this process is a service."""
    return _deadline > 0.0


def end_within(seconds: float, reason: str) -> None:
    """End this service's process after so many seconds, with exit code 1, unless it has ended by itself until then.

    Called again, the earlier deadline counts. Where each thread was is written to standard error.
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
        log.critical("%s, and the process has not ended in %.0f s: ending it now", reason, seconds)
        faulthandler.dump_traceback(sys.__stderr__ or 2)
    finally:
        os._exit(1)
