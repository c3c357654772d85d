"""Password checks. Time and answer are the same whether or not the user exists."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Engine

from console.signin import devices, lockout, passwords, sessions
from console.signin.users import User, UserError, change, email_of, user_by_email


def try_password(
    engine: Engine, email: str, password: str, remote_ip: str, now: int, device: str = ""
) -> tuple[User, str] | None:
    """Return the user and the token of a new session, or None. Raises Locked. Takes about 20 ms: run it in a thread.

    `device`: the request's device cookie, if any.
    """
    user = confirmed(engine, email, password, remote_ip, now, device)
    if user is None:
        return None
    with engine.begin() as connection:
        if user.password is not None and passwords.is_outdated(user.password):
            user = replace(user, password=passwords.hash_of(password))
            change(connection, user.id, password=user.password)
        lockout.forget(connection, now)
        sessions.forget(connection, now)
        return user, sessions.start(connection, user.id, now)


def confirmed(engine: Engine, email: str, password: str, remote_ip: str, now: int, device: str = "") -> User | None:
    """Return the user with this password, or None. Every attempt counts. Raises Locked. Takes about 20 ms: run it in a
    thread."""
    address = address_of(email)
    with engine.begin() as connection:
        user = None if address is None else user_by_email(connection, address)
        known = devices.device_of(device, user, now)
        # Invalid addresses are counted and hashed like any other.
        counters = (
            lockout.counters_of(address or email, remote_ip) if known is None else lockout.counter_of_device(known)
        )
        lockout.count_try(connection, counters, now)
    # Outside of a transaction: hashing must not block others.
    fits = passwords.fits(password, None if user is None else user.password)
    if user is None or not fits or user.disabled_at is not None:
        return None
    with engine.begin() as connection:
        lockout.take_back(connection, counters)
    return user


def address_of(email: str) -> str | None:
    """Return an email address as stored; None if it is invalid."""
    try:
        return email_of(email)
    except UserError:
        return None
