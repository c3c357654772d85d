"""Trying a password. It takes as long, and is answered the same, whether or not there is such a user."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Engine

from console.signin import devices, lockout, passwords, sessions
from console.signin.users import User, UserError, change, email_of, user_by_email


def try_password(
    engine: Engine, email: str, password: str, remote_ip: str, now: int, device: str = ""
) -> tuple[User, str] | None:
    """The user and the token of a new session, or None. Raises Locked. Runs for some 20 ms: in a thread.

    `device`: the device cookie that came with it, if any.
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
    """The user whose password it is, or None. Every try counts. Raises Locked. Runs for some 20 ms: in a thread."""
    address = address_of(email)
    with engine.begin() as connection:
        user = None if address is None else user_by_email(connection, address)
        known = devices.device_of(device, user, now)
        # What can be nobody's address is counted and hashed like every other.
        counters = (
            lockout.counters_of(address or email, remote_ip) if known is None else lockout.counter_of_device(known)
        )
        lockout.count_try(connection, counters, now)
    # Outside of a transaction: hashing must keep nobody waiting.
    fits = passwords.fits(password, None if user is None else user.password)
    if user is None or not fits or user.disabled_at is not None:
        return None
    with engine.begin() as connection:
        lockout.take_back(connection, counters)
    return user


def address_of(email: str) -> str | None:
    """An email address as it is stored; None for what can be nobody's."""
    try:
        return email_of(email)
    except UserError:
        return None
