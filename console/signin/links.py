"""One-time links for setting a password. They are shown once; only the digest is stored."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from console.signin.secrets import digest_of, new_token
from console.signin.users import User, user_by_id
from database.tables import invitations

VALID_MS = 24 * 3_600_000


def path_of(token: str) -> str:
    """Return the path of the page that a link opens."""
    return f"/welcome/{token}"


def new_link(connection: Connection, user_id: int, now: int) -> str:
    """Return the token of a new link for a user. Earlier and expired links become invalid."""
    columns = invitations.c
    connection.execute(delete(invitations).where((columns.user_id == user_id) | (columns.expires_at <= now)))
    token = new_token()
    connection.execute(invitations.insert().values(digest=digest_of(token), user_id=user_id, expires_at=now + VALID_MS))
    return token


def revoke(connection: Connection, user_id: int) -> None:
    """Revoke all links of a user."""
    connection.execute(delete(invitations).where(invitations.c.user_id == user_id))


def user_of_link(connection: Connection, token: str, now: int) -> User | None:
    """Return the user whose password the link sets; None if it is invalid."""
    found = connection.execute(select(invitations.c.user_id).where(_is_open(token, now))).scalar()
    return None if found is None else _active(connection, found)


def use_link(connection: Connection, token: str, now: int) -> User | None:
    """Return the same and use the link up: of two simultaneous uses, one gets the user."""
    found = connection.execute(
        update(invitations).where(_is_open(token, now)).values(used_at=now).returning(invitations.c.user_id)
    ).scalar()
    return None if found is None else _active(connection, found)


def _is_open(token: str, now: int) -> ColumnElement[bool]:
    columns = invitations.c
    return and_(columns.digest == digest_of(token), columns.used_at.is_(None), columns.expires_at > now)


def _active(connection: Connection, user_id: int) -> User | None:
    user = user_by_id(connection, user_id)
    return user if user is not None and user.disabled_at is None else None
