"""The first user of a new installation: an admin of every account, by a link that works once."""

from __future__ import annotations

from sqlalchemy import Connection

from console.principals import EVERY_ACCOUNT, Role
from console.signin.links import new_link, path_of
from console.signin.users import add_user, all_users

EMAIL = "admin@trackly.local"


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
