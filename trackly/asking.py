"""Read access to the console's database, for commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from database.engine import disposing, open_engine
from database.settings import DatabaseSettings
from trackly.errors import Failed


@contextmanager
def asking(settings: DatabaseSettings) -> Iterator[Connection]:
    """Yield a read-only connection. Raises Failed if the database does not answer."""
    with disposing(open_engine(settings.database, read_only=True)) as engine:
        try:
            with engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            # The error's text would repeat the statement's values.
            raise Failed(
                f"The database does not answer ({type(error).__name__}). Check that DATABASE_URL is the same as for "
                "`trackly read-model`, and that the read model has run."
            ) from None
