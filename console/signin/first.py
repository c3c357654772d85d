"""The first user of a new installation: an admin of every account, invited by a single-use link."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine

from bus.private import write_private
from console.principals import EVERY_ACCOUNT, Role
from console.signin.links import new_link, path_of
from console.signin.users import add_user, all_users

EMAIL = "admin@trackly.local"

FILE = "first-admin-link"
"""In the data directory: the link for the first admin. Logs may be read by many."""


def leave_first_link(engine: Engine, directory: Path, address: str, now: int) -> Path | None:
    """Write a new link for the first admin to a file; returns None, and deletes the file, once somebody has
    signed in."""
    file = directory / FILE
    with engine.begin() as connection:
        path = first_link(connection, now)
    if path is None:
        file.unlink(missing_ok=True)
        return None
    write_private(file, f"{address}{path}\n")
    return file


def first_link(connection: Connection, now: int) -> str | None:
    """Return the path of a link for the first admin, creating the user if there is none; None once somebody has signed
    in."""
    known = all_users(connection)
    if any(user.state != "invited" for user in known):
        return None
    first = next((user for user in known if user.email == EMAIL), None)
    if first is None:
        if known:
            return None
        first = add_user(connection, EMAIL, "First admin", {EVERY_ACCOUNT: Role.ADMIN})
    return path_of(new_link(connection, first.id, now))
