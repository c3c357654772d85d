"""`trackly users`: who may sign in to the console."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import Annotated

import typer
from sqlalchemy import Connection

from bus.admin import BrokerUnavailable
from bus.clock import now_ms
from bus.producer import KafkaError
from bus.settings import BusSettings
from console.changes.acts import accounts_of
from console.principals import EVERY_ACCOUNT, Role
from console.signin import sessions
from console.signin.links import new_link, path_of
from console.signin.users import User, add_user, all_users, disable, email_of, grant, user_by_email
from schemas.codec import Codec
from schemas.registry import registry_for
from trackly.audit import write_down
from trackly.console_database import console_address, console_database
from trackly.decoding import time_text
from trackly.errors import Failed
from trackly.output import Json, json_line, say, show, table
from trackly.reading import check_account
from trackly.writing import producing

KAFKA_SECONDS = 10.0
"""Seconds that Kafka may take to store an audit entry."""

users = typer.Typer(no_args_is_help=True, add_completion=False)

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's email address.")]
Account = Annotated[str | None, typer.Option(help="The account; by default every account.")]
RoleName = Annotated[str, typer.Option(help="viewer, support, or admin.")]


@users.callback()
def _users() -> None:
    """Users of the console."""


@users.command("list")
def list_users(as_json: Json = False) -> None:
    """List the users and their roles."""
    with console_database() as connection:
        found = all_users(connection)
    if as_json:
        for user in found:
            roles = {account or "*": str(role) for account, role in user.grants.items()}
            json_line({"email": user.email, "name": user.name, "state": user.state, "roles": roles})
    elif found:
        table(
            ("email", "name", "state", "roles", "last seen"),
            (
                (u.email, u.name, u.state, _roles(u), "" if u.last_seen_at is None else str(time_text(u.last_seen_at)))
                for u in found
            ),
        )
    else:
        say("There are no users; the console creates the first one when it starts.")


@users.command("add")
def add(
    email: Email,
    role: RoleName = "viewer",
    account: Account = None,
    name: Annotated[str, typer.Option(help="The user's name.")] = "",
) -> None:
    """Add a user, and show the link for setting the password, once."""
    _check(account)
    with console_database() as connection:
        user = add_user(connection, email, name, {account or EVERY_ACCOUNT: _role(role)})
        _write_down("user.add", user.email, [account or EVERY_ACCOUNT], role=role)
        _show_link(connection, user)


@users.command("link")
def link(email: Email) -> None:
    """Create a new one-time link for a user without a password, or who has forgotten it."""
    with console_database() as connection:
        user = _named(connection, email)
        _write_down("user.link", user.email, accounts_of(user.principal))
        _show_link(connection, user)


@users.command("grant")
def grant_role(email: Email, role: RoleName, account: Account = None) -> None:
    """Give a user a role in an account; `none` takes it away."""
    _check(account)
    with console_database() as connection:
        user = _named(connection, email)
        grant(connection, user.id, account or EVERY_ACCOUNT, None if role == "none" else _role(role))
        _write_down("user.grant", user.email, [account or EVERY_ACCOUNT], role=role)
    say(f"{email}: {role} of {account or 'every account'}.")


@users.command("disable")
def disable_user(
    email: Email, undo: Annotated[bool, typer.Option("--undo", help="Let the user sign in again.")] = False
) -> None:
    """End all sessions of a user, and do not let the user sign in again."""
    with console_database() as connection:
        user = _named(connection, email)
        disable(connection, user.id, None if undo else now_ms())
        sessions.end_all(connection, user.id)
        _write_down("user.enable" if undo else "user.disable", user.email, accounts_of(user.principal))
    say(f"{email} {'may sign in again' if undo else 'is disabled'}.")


def _check(account: str | None) -> None:
    """Raise Failed if there is no such account. Without Kafka, no one knows, and users can be helped all the same."""
    with suppress(BrokerUnavailable):
        check_account(account)


def _write_down(action: str, email: str, accounts: Collection[str], **details: str) -> None:
    """Write audit entries before the transaction ends. A user who is locked out can be helped without Kafka."""
    try:
        asyncio.run(_entries(action, email, accounts, details))
    except (KafkaError, TimeoutError) as error:
        say(f"Warning: this is not in the audit log, because Kafka does not answer ({type(error).__name__}).")


async def _entries(action: str, email: str, accounts: Collection[str], details: dict[str, str]) -> None:
    settings = BusSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    async with asyncio.timeout(KAFKA_SECONDS), producing(settings) as producer:
        for account in accounts:
            await write_down(producer, settings, codec, action, email, account, **details)


def _show_link(connection: Connection, user: User) -> None:
    if user.disabled_at is not None:
        raise Failed(f"{user.email} is disabled; `trackly users disable --undo` enables the user again.")
    show(f"{console_address()}{path_of(new_link(connection, user.id, now_ms()))}")
    say(f"It sets the password of {user.email}, once, within a day.")


def _named(connection: Connection, email: str) -> User:
    user = user_by_email(connection, email_of(email))
    if user is None:
        raise Failed(f"There is no user {email!r}; `trackly users list` shows all users.")
    return user


def _role(name: str) -> Role:
    try:
        return Role.named(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--role") from None


def _roles(user: User) -> str:
    return ", ".join(f"{role} of {account or 'every account'}" for account, role in user.grants.items())
