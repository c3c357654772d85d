"""The database from routes: in threads, since SQL waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from console.errors import not_available, validation_failed
from console.queries.paging import BadCursor

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """Calls functions with a connection to the database. A `Writes` commits what they did, a `Reads` cannot write."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def __call__(self, use: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function gives. Raises ApiError: 422 for a bad cursor, 503 while the database does not answer."""
        return await asyncio.to_thread(self._use, use, *args, **kwargs)

    def _use(self, use: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with self._engine.begin() as connection:
                return use(connection, *args, **kwargs)
        except BadCursor as error:
            raise validation_failed([f"cursor: {error}"]) from None
        except SQLAlchemyError as error:
            log.error("the database does not answer: %s", _told(error))
            raise not_available("The database does not answer. Try again; the console's log says more.") from None


def _told(error: SQLAlchemyError) -> str:
    """What may be logged of an error: the driver's first line where it speaks of the connection.

    Other texts would repeat values of the statement.
    """
    name = type(error).__name__
    return f"{name}: {str(error.orig).partition(chr(10))[0]}" if isinstance(error, OperationalError) else name


class Reads(Database):
    """Asks the read model, by an engine that cannot write."""


class Writes(Database):
    """Changes users and sessions, each call in one transaction."""
