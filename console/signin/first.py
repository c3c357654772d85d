"""The first user of a new installation: an admin of every account, by a link that works once."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine

from bus.private import write_private
from console.principals import EVERY_ACCOUNT, Role
from console.signin.links import new_link, path_of
from console.signin.users import add_user, all_users

EMAIL = "admin@trackly.local"

FILE = "first-admin-link"
"""Under the data directory: the address that lets the first admin in. Logs go to places where many may read them."""


def leave_first_link(engine: Engine, directory: Path, address: str, now: int) -> Path | None:
    """The file with a new link for the first admin; None, and no such file, once somebody has signed in."""
    file = directory / FILE
    with engine.begin() as connection:
        path = first_link(connection, now)
    if path is None:
        file.unlink(missing_ok=True)
        return None
    write_private(file, f"{address}{path}\n")
    return file


def first_link(connection: Connection, now: int) -> str | None:
    """Path of a link for the first admin, who is made where there is no user; None once somebody has signed in."""
    known = all_users(connection)
    if any(user.state != "invited" for user in known):
        return None
    first = next((user for user in known if user.email == EMAIL), None)
    if first is None:
        if known:
            return None
        first = add_user(connection, EMAIL, "First admin", {EVERY_ACCOUNT: Role.ADMIN})
    return path_of(new_link(connection, first.id, now))
