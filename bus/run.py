"""Runs a worker in the foreground: logging, the fast event loop, signals, an exit code that tells what happened."""

from __future__ import annotations

import logging
import os
import sys

import faust
import uvloop

from bus.app import Worker

log = logging.getLogger(__name__)

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_REPETITIVE = ("aiokafka", "ingest.writer", "console.writer", "console.contacts_view")
_CHATTY = ("aiokafka", "faust", "mode", "kafka", "asyncio")


def configure_logging(level: str | None = None) -> None:
    """Log to standard error. `level` or TRACKLY_LOG_LEVEL is for trackly itself; libraries speak from WARNING on.

    The libraries' levels are set explicitly: below WARNING they build a log record for every message they send.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=_FORMAT, force=True)
    logging.getLogger().handlers[0].addFilter(_not_of_mode)
    logging.getLogger().handlers[0].addFilter(Seldom(_REPETITIVE, seconds=5.0))
    wanted = (level or os.environ.get("TRACKLY_LOG_LEVEL") or "INFO").upper()
    for package in ("accounts", "bus", "database", "ingest", "streams", "sinks", "console", "trackly"):
        logging.getLogger(package).setLevel(wanted)
    for library in _CHATTY:
        logging.getLogger(library).setLevel(logging.WARNING)


class Seldom(logging.Filter):
    """Lets each of these loggers speak once in so many seconds: while a broker is away, they say the same for
    every record and every try."""

    def __init__(self, prefixes: tuple[str, ...], seconds: float) -> None:
        super().__init__()
        self._prefixes = prefixes
        self._seconds = seconds
        self._spoke: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if not record.name.startswith(self._prefixes):
            return True
        if record.created - self._spoke.get(record.name, 0.0) < self._seconds:
            return False
        self._spoke[record.name] = record.created
        return True


def _not_of_mode(record: logging.LogRecord) -> bool:
    # mode tells the start and stop of every inner service under the name of the module that defines it.
    return record.levelno > logging.INFO or not str(record.msg).startswith("[^")


def run_worker(worker: Worker) -> int:
    """Run until SIGTERM or SIGINT (exit code 0), or until the worker cannot go on (exit code 1)."""
    uvloop.install()
    runner = faust.Worker(
        worker, quiet=True, redirect_stdouts=False, override_logging=False, logging_config=None, loglevel=None
    )
    runner.spinner = None  # it writes to terminals and files alike
    code = 0
    try:
        runner.execute_from_commandline()
    except SystemExit as end:
        code = 0 if end.code is None else int(end.code)
    except Exception as error:
        log.critical("stopped by %s: %s", type(error).__name__, error)
        return 1
    return 1 if worker.crashed else code
