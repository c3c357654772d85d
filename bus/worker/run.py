"""Runs a worker in the foreground: fast event loop, signals, a meaningful exit code."""

from __future__ import annotations

import logging
import signal
from functools import partial
from typing import Any

import faust
import uvloop

from bus.ending import CRASH_SECONDS, STOP_SECONDS, be_a_service, end_within
from bus.worker.app import Worker

log = logging.getLogger(__name__)


class _Runner(faust.Worker):  # type: ignore[misc]
    """Faust's runner with a deadline for its shutdown."""

    def _schedule_shutdown(self, number: Any) -> None:
        end_within(STOP_SECONDS, f"received {number.name}")
        super()._schedule_shutdown(number)

    def on_worker_shutdown(self) -> None:
        """Called when the worker has stopped or failed to start, before the rest is stopped."""
        end_within(CRASH_SECONDS, "stopped")
        super().on_worker_shutdown()


def run_worker(worker: Worker) -> int:
    """Run until SIGTERM or SIGINT (exit code 0), or until the worker fails (exit code 1).

    If it hangs beyond the deadlines of `bus.ending`, the process exits with code 1.
    """
    be_a_service()
    uvloop.install()
    runner = _Runner(
        worker, quiet=True, redirect_stdouts=False, override_logging=False, logging_config=None, loglevel=None
    )
    runner.spinner = None  # it would write to terminals and files alike
    worker.end = partial(runner._schedule_shutdown, signal.SIGTERM)
    code = 0
    try:
        runner.execute_from_commandline()
    except SystemExit as end:
        code = 0 if end.code is None else int(end.code)
    except Exception as error:
        log.critical("stopped by %s: %s", type(error).__name__, error)
        return 1
    return 1 if worker.crashed or worker.misfit else code
