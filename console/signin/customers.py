"""Customers: whoever opens a one-time link sees one endpoint of an account, and nothing else of the console.

A link is an id and a secret. Only digests of the secret, and of a session's cookie, are stored.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

from sqlalchemy import Connection, Row, delete, insert, select, update
from starlette.responses import Response

from console.principals import Principal
from console.signin.secrets import digest_of, form_token, new_token
from database.tables import customer_links, customer_sessions

PATH = "/customer"
"""The base path of a customer's pages. A customer's cookie is ignored elsewhere."""

HOUR_MS = 3_600_000
LINK_HOURS, MOST_LINK_HOURS = 24, 168
"""How long a link can be opened: default and maximum."""

IDLE_MS = 2 * HOUR_MS
ABSOLUTE_MS = 24 * HOUR_MS
"""A session ends after this long without a request, and this long after the link was opened."""

SEEN_EVERY_MS = 60_000
"""Minimum interval between updates of a session's last use."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link that can still be opened: to an endpoint (`account/endpoint`)."""

    id: str
    account: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class CustomerSession:
    """A valid session. `csrf` is the token of its forms; `is_due`: its last use should be updated."""

    link: Link
    token: str = field(repr=False)
    is_due: bool = False

    @property
    def csrf(self) -> str:
        """The token for its forms."""
        return form_token(self.token)

    @property
    def principal(self) -> Principal:
        """The principal: it has no role in any account."""
        name = f"{self.link.endpoint} ({self.link.id})"
        return Principal("customer", self.link.id, name, {}, f"{self.link.account}/{self.link.endpoint}")


def path_of(token: str) -> str:
    """Return the path of the page that a link opens."""
    return f"{PATH}/open/{token}"


def cookie_name(secure: bool) -> str:
    """Browsers accept a `__Host-` cookie only by https and for this host alone."""
    return "__Host-trackly-customer" if secure else "trackly-customer"


def set_cookie(answer: Response, token: str, *, secure: bool, embedded: bool) -> None:
    """Set the session's cookie. `embedded`: other sites may frame the customer's pages; the cookie is then partitioned
    by site (https://developer.mozilla.org/docs/Web/Privacy/Guides/Partitioned_cookies)."""
    same_site = "SameSite=None; Partitioned" if embedded else "SameSite=Lax"
    value = f"{cookie_name(secure)}={token}; Max-Age={ABSOLUTE_MS // 1000}; Path=/; HttpOnly; {same_site}"
    answer.headers.append("set-cookie", f"{value}; Secure" if secure else value)


def new_link(connection: Connection, account: str, endpoint: str, now: int, hours: int) -> tuple[Link, str]:
    """Create a link to an endpoint; returns it with its token, which is shown only once."""
    columns = customer_links.c
    connection.execute(delete(customer_links).where(columns.expires_at <= now))
    link, secret = Link(f"lnk_{secrets.token_hex(6)}", account, endpoint), new_token()
    values = {"id": link.id, "account": account, "endpoint": endpoint, "digest": digest_of(secret)}
    times = {"created_at": now, "expires_at": now + hours * HOUR_MS}
    connection.execute(insert(customer_links).values(**values, **times))
    return link, f"{link.id}.{secret}"


def link_of(connection: Connection, token: str, now: int) -> Link | None:
    """Return a token's link, if it can still be opened; secrets are compared in constant time."""
    link_id, _, secret = token.partition(".")
    row = connection.execute(select(customer_links).where(customer_links.c.id == link_id)).first()
    fits = hmac.compare_digest("" if row is None else row.digest, digest_of(secret))
    return _link(row.id, row) if row is not None and fits and row.expires_at > now else None


def use_link(connection: Connection, token: str, now: int) -> CustomerSession | None:
    """Use a link up and return a new session; None if it is invalid, or somebody else used it first."""
    link = link_of(connection, token, now)
    if link is None:
        return None
    if connection.execute(delete(customer_links).where(customer_links.c.id == link.id)).rowcount != 1:
        return None
    columns = customer_sessions.c
    connection.execute(
        delete(customer_sessions).where((columns.seen_at <= now - IDLE_MS) | (columns.created_at <= now - ABSOLUTE_MS))
    )
    cookie = new_token()
    values = {"digest": digest_of(cookie), "link_id": link.id, "account": link.account, "endpoint": link.endpoint}
    connection.execute(insert(customer_sessions).values(**values, created_at=now, seen_at=now))
    return CustomerSession(link, cookie)


def find(connection: Connection, token: str, now: int) -> CustomerSession | None:
    """Return a cookie's session, if it is valid."""
    digest = digest_of(token)
    row = connection.execute(select(customer_sessions).where(customer_sessions.c.digest == digest)).first()
    if row is None or row.seen_at <= now - IDLE_MS or row.created_at <= now - ABSOLUTE_MS:
        return None
    return CustomerSession(_link(row.link_id, row), token, is_due=row.seen_at <= now - SEEN_EVERY_MS)


def touch(connection: Connection, token: str, now: int) -> None:
    """Update a session's last use."""
    columns = customer_sessions.c
    connection.execute(update(customer_sessions).where(columns.digest == digest_of(token)).values(seen_at=now))


def end(connection: Connection, token: str) -> None:
    """End a session."""
    connection.execute(delete(customer_sessions).where(customer_sessions.c.digest == digest_of(token)))


def revoke(connection: Connection, account: str, endpoint: str) -> int:
    """Revoke every link to an endpoint, and end every session started by one. Returns how many there were."""
    ended = 0
    for table in (customer_links, customer_sessions):
        ended += connection.execute(
            delete(table).where(table.c.account == account, table.c.endpoint == endpoint)
        ).rowcount
    return ended


def _link(link_id: str, row: Row[tuple[object, ...]]) -> Link:
    return Link(link_id, row.account, row.endpoint)
