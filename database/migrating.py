"""Brings the database to the tables of this version.

Migrations are Alembic revisions in `database/migrations/versions`. To add one: change `tables.py`, then
`python -m database.migrating "Say what changes"` writes a revision with the difference, to be read, formatted with
`make format`, and committed.
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
"""PostgreSQL's lock that one process holds while it migrates."""

VERSIONS = Path(__file__).parent / "migrations"

FIRST = "0001"


class DatabaseTooNew(RuntimeError):
    """The database was brought to its tables by a newer version of trackly."""


def migrate(engine: Engine) -> None:
    """Make or change what is missing; several processes may do so at once, and one does it.

    Raises DatabaseTooNew, and sqlalchemy.exc.DBAPIError when the database does not answer. What fails is undone.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        # On SQLite the transaction began by taking the right to write.
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
            f"the database is at revision {found}, which this version of trackly does not know: run the newer version"
            " that made it, or name another database in DATABASE_URL"
        )
    return found


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(VERSIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def write_revision(message: str, number: str) -> Path:
    """Write the revision that makes the tables of `tables.py` of those of the newest revision; returns its file."""
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
