"""The console's database and address, for commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from console.settings import ConsoleSettings
from console.signin.users import UserError
from database.engine import DatabaseUrlError, open_engine
from database.migrating import migrate
from trackly.errors import Failed


@contextmanager
def console_database() -> Iterator[Connection]:
    """Yield a connection whose changes are committed at the end of the block. Raises Failed."""
    try:
        engine = open_engine(ConsoleSettings().database)
    except DatabaseUrlError as error:
        raise Failed(f"{error}.") from None
    try:
        migrate(engine)
        with engine.begin() as connection:
            yield connection
    except UserError as error:
        raise Failed(str(error)) from None
    except SQLAlchemyError as error:
        raise Failed(f"The database did not answer: {type(error).__name__}.") from None
    finally:
        engine.dispose()


def console_address() -> str:
    """Return the console's public address, without a trailing slash; by default that of a running `trackly up`."""
    settings = ConsoleSettings()
    running = settings.written_down.get("console_url")
    return settings.address if settings.console_url or not running else running
