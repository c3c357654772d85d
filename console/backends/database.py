"""Database access from routes: in threads, because SQL blocks."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from console.errors import not_available, validation_failed
from console.queries.paging import BadCursor

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = ThreadPoolExecutor(16, thread_name_prefix="database")
"""Threads of their own. While the database stalled, calls to it would use up the event loop's, and whatever follows
Kafka there would stand still: `check` would have no answers."""


async def in_thread(use: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call something that waits for the database."""
    call = partial(contextvars.copy_context().run, use, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, call)


class Database:
    """Calls functions with a database connection. `Writes` commits their changes; `Reads` cannot write."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def __call__(self, use: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the function's result. Raises ApiError: 422 for a bad cursor, 503 while the database does not
        answer."""
        return await in_thread(self._use, use, *args, **kwargs)

    def _use(self, use: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with self._engine.begin() as connection:
                return use(connection, *args, **kwargs)
        except BadCursor as error:
            raise validation_failed([f"cursor: {error}"]) from None
        except SQLAlchemyError as error:
            log.error("the database does not answer: %s", _loggable(error))
            raise not_available("The database does not answer. Try again; the console's log has the details.") from None


def _loggable(error: SQLAlchemyError) -> str:
    """Return what may be logged of an error: the driver's first line if it is about the connection.

    Other texts would repeat values of the statement.
    """
    name = type(error).__name__
    return f"{name}: {str(error.orig).partition(chr(10))[0]}" if isinstance(error, OperationalError) else name


class Reads(Database):
    """Queries the read model through an engine that cannot write."""


class Writes(Database):
    """Changes users and sessions, one transaction per call."""
