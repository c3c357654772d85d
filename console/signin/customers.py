"""Customers: whoever opens a one-time link sees one endpoint of an account, and nothing else of the console.

A link is an id and a secret; what is stored of the secret, and of a session's cookie, is its digest.
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
"""What a customer's pages lie below. The cookie of a customer is looked at nowhere else."""

HOUR_MS = 3_600_000
LINK_HOURS, MOST_LINK_HOURS = 24, 168
"""How long a link can be opened, by default and at most."""

IDLE_MS = 2 * HOUR_MS
ABSOLUTE_MS = 24 * HOUR_MS
"""A session ends when nothing was asked for so long, and so long after the link was opened."""

SEEN_EVERY_MS = 60_000
"""How often it is written that a session is in use."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link that can be opened: to an endpoint (`account/endpoint`)."""

    id: str
    account: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class CustomerSession:
    """A session that is in force. `csrf` is the token of its forms; `is_due`: its use is to be written down."""

    link: Link
    token: str = field(repr=False)
    is_due: bool = False

    @property
    def csrf(self) -> str:
        """What its forms carry."""
        return form_token(self.token)

    @property
    def principal(self) -> Principal:
        """Who acts: somebody without a role in any account."""
        name = f"{self.link.endpoint} ({self.link.id})"
        return Principal("customer", self.link.id, name, {}, f"{self.link.account}/{self.link.endpoint}")


def path_of(token: str) -> str:
    """Path of the page that a link opens."""
    return f"{PATH}/open/{token}"


def cookie_name(secure: bool) -> str:
    """Browsers take a `__Host-` cookie only by https and for this host alone."""
    return "__Host-trackly-customer" if secure else "trackly-customer"


def set_cookie(answer: Response, token: str, *, secure: bool, embedded: bool) -> None:
    """Give a browser its session. `embedded`: pages of other sites may frame the customer's; then the cookie is kept
    apart for each of them (https://developer.mozilla.org/docs/Web/Privacy/Guides/Partitioned_cookies).
    """
    same_site = "SameSite=None; Partitioned" if embedded else "SameSite=Lax"
    value = f"{cookie_name(secure)}={token}; Max-Age={ABSOLUTE_MS // 1000}; Path=/; HttpOnly; {same_site}"
    answer.headers.append("set-cookie", f"{value}; Secure" if secure else value)


def new_link(connection: Connection, account: str, endpoint: str, now: int, hours: int) -> tuple[Link, str]:
    """A new link to an endpoint, and its token, which is shown once."""
    columns = customer_links.c
    connection.execute(delete(customer_links).where(columns.expires_at <= now))
    link, secret = Link(f"lnk_{secrets.token_hex(6)}", account, endpoint), new_token()
    values = {"id": link.id, "account": account, "endpoint": endpoint, "digest": digest_of(secret)}
    times = {"created_at": now, "expires_at": now + hours * HOUR_MS}
    connection.execute(insert(customer_links).values(**values, **times))
    return link, f"{link.id}.{secret}"


def link_of(connection: Connection, token: str, now: int) -> Link | None:
    """The link of a token, if it can still be opened; secrets are compared in constant time."""
    link_id, _, secret = token.partition(".")
    row = connection.execute(select(customer_links).where(customer_links.c.id == link_id)).first()
    fits = hmac.compare_digest("" if row is None else row.digest, digest_of(secret))
    return _link(row.id, row) if row is not None and fits and row.expires_at > now else None


def use_link(connection: Connection, token: str, now: int) -> CustomerSession | None:
    """A new session by a link, which opens nothing any more; None where it opens nothing, or somebody was faster."""
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
    """The session of a cookie, if it is in force."""
    digest = digest_of(token)
    row = connection.execute(select(customer_sessions).where(customer_sessions.c.digest == digest)).first()
    if row is None or row.seen_at <= now - IDLE_MS or row.created_at <= now - ABSOLUTE_MS:
        return None
    return CustomerSession(_link(row.link_id, row), token, is_due=row.seen_at <= now - SEEN_EVERY_MS)


def touch(connection: Connection, token: str, now: int) -> None:
    """Write down that a session is in use."""
    columns = customer_sessions.c
    connection.execute(update(customer_sessions).where(columns.digest == digest_of(token)).values(seen_at=now))


def end(connection: Connection, token: str) -> None:
    """End a session."""
    connection.execute(delete(customer_sessions).where(customer_sessions.c.digest == digest_of(token)))


def revoke(connection: Connection, account: str, endpoint: str) -> int:
    """No link to an endpoint opens anything any more, and every session by one ends. Gives how many there were."""
    ended = 0
    for table in (customer_links, customer_sessions):
        ended += connection.execute(
            delete(table).where(table.c.account == account, table.c.endpoint == endpoint)
        ).rowcount
    return ended


def _link(link_id: str, row: Row[tuple[object, ...]]) -> Link:
    return Link(link_id, row.account, row.endpoint)
