"""Sessions of signed-in users. The cookie holds a random token, the database its digest.

https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select, update
from starlette.responses import Response

from console.principals import Principal
from console.signin.secrets import digest_of, form_token, new_token
from console.signin.users import change, user_by_id
from database.tables import sessions

IDLE_MS = 12 * 3_600_000
"""A session ends after this long without a request."""

ABSOLUTE_MS = 7 * 24 * 3_600_000
"""A session ends this long after the sign-in, in any case."""

SEEN_EVERY_MS = 60_000
"""Minimum interval between updates of a session's last use."""


@dataclass(frozen=True, slots=True)
class Session:
    """A valid session. `csrf` is the token of its forms; `is_due`: its last use should be updated."""

    principal: Principal
    token: str = field(repr=False)
    is_due: bool = False

    @property
    def csrf(self) -> str:
        """The token for its forms."""
        return form_token(self.token)


def cookie_name(secure: bool) -> str:
    """Browsers accept a `__Host-` cookie only by https and for this host alone."""
    return "__Host-trackly" if secure else "trackly"


def set_cookie(answer: Response, token: str, secure: bool) -> None:
    """Set the session's cookie."""
    answer.set_cookie(
        cookie_name(secure), token, max_age=ABSOLUTE_MS // 1000, secure=secure, httponly=True, samesite="lax"
    )


def clear_cookie(answer: Response, secure: bool) -> None:
    """Delete the session's cookie."""
    answer.delete_cookie(cookie_name(secure), secure=secure, httponly=True, samesite="lax")


def start(connection: Connection, user_id: int, now: int) -> str:
    """Return the token of a new session."""
    token = new_token()
    connection.execute(sessions.insert().values(digest=digest_of(token), user_id=user_id, created_at=now, seen_at=now))
    change(connection, user_id, last_seen_at=now)
    return token


def find(connection: Connection, token: str, now: int) -> Session | None:
    """Return a token's session, if it is valid and its user may sign in."""
    columns = sessions.c
    row = connection.execute(select(sessions).where(columns.digest == digest_of(token))).first()
    if row is None or row.seen_at <= now - IDLE_MS or row.created_at <= now - ABSOLUTE_MS:
        return None
    user = user_by_id(connection, row.user_id)
    if user is None or user.disabled_at is not None:
        return None
    return Session(user.principal, token, is_due=row.seen_at <= now - SEEN_EVERY_MS)


def touch(connection: Connection, session: Session, now: int) -> None:
    """Update a session's last use."""
    connection.execute(update(sessions).where(sessions.c.digest == digest_of(session.token)).values(seen_at=now))
    change(connection, int(session.principal.id), last_seen_at=now)


def end(connection: Connection, token: str) -> None:
    """Sign out."""
    connection.execute(delete(sessions).where(sessions.c.digest == digest_of(token)))


def end_all(connection: Connection, user_id: int, keep: str | None = None) -> None:
    """Sign a user out everywhere, except for the session of the token `keep`."""
    spared = "" if keep is None else digest_of(keep)
    connection.execute(delete(sessions).where(sessions.c.user_id == user_id, sessions.c.digest != spared))


def forget(connection: Connection, now: int) -> None:
    """Delete expired sessions."""
    columns = sessions.c
    connection.execute(
        delete(sessions).where((columns.seen_at <= now - IDLE_MS) | (columns.created_at <= now - ABSOLUTE_MS))
    )
