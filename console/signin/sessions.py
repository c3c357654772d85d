"""Sessions: who is signed in. The cookie has a random text, the database its digest.

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
"""A session ends when nothing was asked for so long."""

ABSOLUTE_MS = 7 * 24 * 3_600_000
"""A session ends so long after the sign-in, whatever is asked."""

SEEN_EVERY_MS = 60_000
"""How often it is written that a session is in use."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is in force. `csrf` is the token of its forms; `is_due`: its use is to be written down."""

    principal: Principal
    token: str = field(repr=False)
    is_due: bool = False

    @property
    def csrf(self) -> str:
        """What its forms carry."""
        return form_token(self.token)


def cookie_name(secure: bool) -> str:
    """Browsers take a `__Host-` cookie only by https and for this host alone."""
    return "__Host-trackly" if secure else "trackly"


def set_cookie(answer: Response, token: str, secure: bool) -> None:
    """Give a browser its session."""
    answer.set_cookie(
        cookie_name(secure), token, max_age=ABSOLUTE_MS // 1000, secure=secure, httponly=True, samesite="lax"
    )


def clear_cookie(answer: Response, secure: bool) -> None:
    """Take it back."""
    answer.delete_cookie(cookie_name(secure), secure=secure, httponly=True, samesite="lax")


def start(connection: Connection, user_id: int, now: int) -> str:
    """The token of a new session."""
    token = new_token()
    connection.execute(sessions.insert().values(digest=digest_of(token), user_id=user_id, created_at=now, seen_at=now))
    change(connection, user_id, last_seen_at=now)
    return token


def find(connection: Connection, token: str, now: int) -> Session | None:
    """The session of a token, if it is in force and its user may sign in."""
    columns = sessions.c
    row = connection.execute(select(sessions).where(columns.digest == digest_of(token))).first()
    if row is None or row.seen_at <= now - IDLE_MS or row.created_at <= now - ABSOLUTE_MS:
        return None
    user = user_by_id(connection, row.user_id)
    if user is None or user.disabled_at is not None:
        return None
    return Session(user.principal, token, is_due=row.seen_at <= now - SEEN_EVERY_MS)


def touch(connection: Connection, session: Session, now: int) -> None:
    """Write down that a session is in use."""
    connection.execute(update(sessions).where(sessions.c.digest == digest_of(session.token)).values(seen_at=now))
    change(connection, int(session.principal.id), last_seen_at=now)


def end(connection: Connection, token: str) -> None:
    """Sign out."""
    connection.execute(delete(sessions).where(sessions.c.digest == digest_of(token)))


def end_all(connection: Connection, user_id: int, keep: str | None = None) -> None:
    """Sign a user out everywhere, but for the session of the token `keep`."""
    spared = "" if keep is None else digest_of(keep)
    connection.execute(delete(sessions).where(sessions.c.user_id == user_id, sessions.c.digest != spared))


def forget(connection: Connection, now: int) -> None:
    """Delete what is no longer in force."""
    columns = sessions.c
    connection.execute(
        delete(sessions).where((columns.seen_at <= now - IDLE_MS) | (columns.created_at <= now - ABSOLUTE_MS))
    )
