"""Runs a worker in the foreground: the fast event loop, signals, an exit code that tells what happened."""

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
    """Faust's runner, whose end has a deadline."""

    def _schedule_shutdown(self, number: Any) -> None:
        end_within(STOP_SECONDS, f"told to stop by {number.name}")
        super()._schedule_shutdown(number)

    def on_worker_shutdown(self) -> None:
        """Called when the worker has stopped or cannot start, before what is left is stopped."""
        end_within(CRASH_SECONDS, "stopped")
        super().on_worker_shutdown()


def run_worker(worker: Worker) -> int:
    """Run until SIGTERM or SIGINT (exit code 0), or until the worker cannot go on (exit code 1).

    Past the deadlines of `bus.ending` the process ends with exit code 1, whatever hangs.
    """
    be_a_service()
    uvloop.install()
    runner = _Runner(
        worker, quiet=True, redirect_stdouts=False, override_logging=False, logging_config=None, loglevel=None
    )
    runner.spinner = None  # it writes to terminals and files alike
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
