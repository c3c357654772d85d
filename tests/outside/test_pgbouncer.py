"""The database behind a real PgBouncer, which may give a session to several connections in turn."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bus.embedded.broker import free_port
from database.engine import SharedSession, disposing, open_engine
from database.writer_lock import AnotherWrites, writing
from tests.debian_tools import debian_tool
from tests.patience import PATIENCE
from tests.postgres import unprivileged_user


@contextmanager
def pooled(database: str, mode: str, folder: Path) -> Iterator[str]:
    """Yield the URL of a database behind a PgBouncer with this `pool_mode`."""
    port, url = free_port(), make_url(database)
    folder.chmod(0o755)
    # The cache may be in the home of root.
    program = shutil.copy(debian_tool("pgbouncer", "pgbouncer"), folder)
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{url.database} = host={url.host} port={url.port} user={url.username}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = {mode}\n"
    )
    command = [program, "--quiet", str(folder / "pgbouncer.ini")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, user=unprivileged_user(), stdout=log, stderr=log, cwd="/")
    through = url.set(port=port).render_as_string(hide_password=False)
    try:
        _wait(process, through, folder / "log")
        yield through
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    with disposing(open_engine(url)) as engine:
        while True:
            if process.poll() is not None:
                pytest.skip(f"pgbouncer does not start, NOT TESTED BEHIND IT: {log.read_text()[-300:]}")
            try:
                engine.connect().close()
                return
            except OperationalError:
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a directory that PgBouncer may enter, which refuses to run as root; pytest's own are their user's alone."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def test_a_writer_refuses_sessions_that_others_get_in_turn(postgres_database: str, folder: Path) -> None:
    with pooled(postgres_database, "transaction", folder) as url:
        with disposing(open_engine(url)) as engine, pytest.raises(SharedSession, match="pool_mode"), writing(engine):
            pass
        with disposing(open_engine(postgres_database)) as direct, writing(direct):
            pass  # the pool's session has not kept the lock


def test_a_writer_takes_sessions_that_are_its_own(postgres_database: str, folder: Path) -> None:
    with (
        pooled(postgres_database, "session", folder) as url,
        disposing(open_engine(url)) as engine,
        disposing(open_engine(url)) as other,
        writing(engine),
        pytest.raises(AnotherWrites),
        writing(other),
    ):
        pass


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_reader_reads_through_a_pool_and_cannot_write(postgres_database: str, folder: Path, mode: str) -> None:
    with pooled(postgres_database, mode, folder) as url, disposing(open_engine(url, read_only=True)) as engine:
        with engine.connect() as connection:
            assert connection.execute(text("SHOW transaction_isolation")).scalar_one() == "repeatable read"
        with engine.connect() as connection, pytest.raises(SQLAlchemyError, match="read-only transaction"):
            connection.execute(text("CREATE TABLE x (y integer)"))
