"""Users: who may sign in, and their roles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from bus.clock import now_ms
from console.principals import EVERY_ACCOUNT, Principal, Role, grants_of
from database.inserts import insert_into
from database.tables import grants, users

MAX_EMAIL = 254


class UserError(ValueError):
    """An invalid operation on a user. The text is a sentence for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user. `subject` is `issuer name` for OpenID Connect; times are in milliseconds."""

    id: int
    email: str
    name: str
    password: str | None = field(repr=False)
    subject: str | None = field(repr=False)
    created_at: int
    disabled_at: int | None
    last_seen_at: int | None
    grants: Mapping[str, Role]

    @property
    def state(self) -> str:
        """`active`, `invited` before a first sign-in is possible, or `disabled`."""
        if self.disabled_at is not None:
            return "disabled"
        return "invited" if self.password is None and self.subject is None else "active"

    @property
    def principal(self) -> Principal:
        """The principal of this user."""
        return Principal("user", str(self.id), self.email, self.grants)


def email_of(text: str) -> str:
    """Return an email address as stored. Raises UserError."""
    email = text.strip().lower()
    name, at, host = email.rpartition("@")
    if not (name and at and host and email.isprintable() and " " not in email and len(email) <= MAX_EMAIL):
        raise UserError("This is not a valid email address; write it as ann@example.com.")
    return email


def all_users(connection: Connection) -> list[User]:
    """Return every user, sorted by email address."""
    return _users(connection, users.c.id.is_not(None))


def user_by_id(connection: Connection, user_id: int) -> User | None:
    """Return the user with this id."""
    return _first(connection, users.c.id == user_id)


def user_by_email(connection: Connection, email: str) -> User | None:
    """Return the user with this address, as returned by `email_of`."""
    return _first(connection, users.c.email == email)


def user_by_subject(connection: Connection, subject: str) -> User | None:
    """Return the user with this OpenID Connect subject, `issuer name`."""
    return _first(connection, users.c.subject == subject)


def add_user(connection: Connection, email: str, name: str, roles: Mapping[str, Role]) -> User:
    """Add a user, who cannot sign in before opening a link. Raises UserError."""
    email = email_of(email)
    try:
        with connection.begin_nested():
            added = connection.execute(
                insert(users).values(email=email, name=name or email, created_at=now_ms()).returning(users.c.id)
            ).scalar_one()
    except IntegrityError:
        raise UserError(f"User {email} already exists.") from None
    for account, role in roles.items():
        grant(connection, added, account, role)
    found = user_by_id(connection, added)
    assert found is not None
    return found


def grant(connection: Connection, user_id: int, account: str, role: Role | None) -> None:
    """Give a user a role in an account, or in EVERY_ACCOUNT; None revokes it. Raises UserError for the last admin of
    every account."""
    if account == EVERY_ACCOUNT and role is not Role.ADMIN:
        _keep_an_operator(connection, user_id)
    key = (grants.c.user_id == user_id, grants.c.account == account)
    if role is None:
        connection.execute(delete(grants).where(*key))
        return
    values = {"user_id": user_id, "account": account, "role": str(role)}
    connection.execute(
        insert_into(connection, grants)
        .values(values)
        .on_conflict_do_update(index_elements=[grants.c.user_id, grants.c.account], set_={"role": str(role)})
    )


def disable(connection: Connection, user_id: int, now: int | None) -> None:
    """Disable a user; None: enable it again. Raises UserError for the last admin of every account."""
    if now is not None:
        _keep_an_operator(connection, user_id)
    change(connection, user_id, disabled_at=now)


def change(connection: Connection, user_id: int, /, **values: Any) -> None:
    """Update columns of a user."""
    connection.execute(update(users).where(users.c.id == user_id).values(values))


def _keep_an_operator(connection: Connection, user_id: int) -> None:
    operators = {user.id for user in all_users(connection) if user.principal.is_operator and user.disabled_at is None}
    if operators == {user_id}:
        raise UserError("This is the last admin of every account. Make another one first.")


def _first(connection: Connection, which: ColumnElement[bool]) -> User | None:
    return next(iter(_users(connection, which)), None)


def _users(connection: Connection, which: ColumnElement[bool]) -> list[User]:
    rows = connection.execute(select(users).where(which).order_by(users.c.email)).all()
    found = connection.execute(
        select(grants.c.user_id, grants.c.account, grants.c.role).where(
            grants.c.user_id.in_(select(users.c.id).where(which))
        )
    )
    roles: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for user_id, account, role in found:
        roles[user_id].append((account, role))
    return [User(**row._mapping, grants=grants_of(roles[row.id])) for row in rows]
