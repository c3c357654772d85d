"""Migrates the database to this version's tables.

Migrations are Alembic revisions in `database/migrations/versions`. To add one, change `tables.py`, then run `python -m
database.migrating "Say what changes"`, which writes a revision with the difference. Review it, format it with `make
format`, and commit it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from database.engine import open_engine

ADVISORY_LOCK = 0x74726B6D
"""PostgreSQL advisory lock held by the migrating process."""

VERSIONS = Path(__file__).parent / "migrations"

FIRST = "0001"


class DatabaseTooNew(RuntimeError):
    """A newer version of trackly has migrated the database."""


def migrate(engine: Engine) -> None:
    """Create or change tables as needed; if several processes call it at once, one does it.

    Raises DatabaseTooNew, and sqlalchemy.exc.DBAPIError if the database does not answer. Failures are rolled back.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        # On SQLite, the transaction began by acquiring the write lock.
        config = _config(connection)
        _refuse_newer(connection, ScriptDirectory.from_config(config))
        command.upgrade(config, "head")


def is_migrated(engine: Engine) -> bool:
    """Whether the tables are those of this version. Raises DatabaseTooNew."""
    with engine.connect() as connection:
        script = ScriptDirectory.from_config(_config(connection))
        return _refuse_newer(connection, script) == script.get_current_head()


def _refuse_newer(connection: Connection, script: ScriptDirectory) -> str | None:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in {revision.revision for revision in script.walk_revisions()}:
        raise DatabaseTooNew(
            f"the database is at revision {found}, which this version of trackly does not know: run the newer "
            "version that created it, or set DATABASE_URL to another database"
        )
    return found


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(VERSIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def write_revision(message: str, number: str) -> Path:
    """Write the revision that turns the newest revision's tables into those of `tables.py`; returns its file."""
    with tempfile.TemporaryDirectory() as directory:
        engine = open_engine(f"sqlite:///{directory}/new.db")
        if number != FIRST:
            migrate(engine)
        with engine.begin() as connection:
            written: Any = command.revision(_config(connection), message, autogenerate=True, rev_id=number)
        engine.dispose()
    path = Path(written.path)
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("    # ###")), "utf-8")
    return path


if __name__ == "__main__":
    message = " ".join(sys.argv[1:])
    count = len(list(VERSIONS.glob("versions/0*.py")))
    print(write_revision(message, f"{count + 1:04d}"))
