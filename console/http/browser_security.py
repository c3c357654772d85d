"""Security headers for browsers, and the check that a request comes from the console's own pages.

https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none';"
    " form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Headers of every answer. Pages contain no inline script or style, so there are no exceptions."""

_HSTS = "max-age=31536000"


def is_same_origin(headers: Headers) -> bool:
    """Whether a browser says that a request comes from a page of this host; old ones say so by Origin."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    _, _, origin = headers.get("origin", "").partition("://")
    return bool(origin) and origin == headers.get("host")


def is_token(given: object, expected: str) -> bool:
    """Whether this is the token of a session's forms; compared in constant time."""
    # Some charsets that a form can declare produce unpaired surrogates.
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


class SecurityHeaders:
    """ASGI middleware that adds HEADERS and keeps pages out of caches. Origins in `embed` may frame paths at or below
    `embedded`, and no others."""

    def __init__(self, app: ASGIApp, behind_tls: bool, embedded: str = "", embed: Sequence[str] = ()) -> None:
        self._app = app
        self._headers = dict(HEADERS) | ({"Strict-Transport-Security": _HSTS} if behind_tls else {})
        framed = f"frame-ancestors {' '.join(embed)};" if embed else "frame-ancestors 'none';"
        policy = HEADERS["Content-Security-Policy"].replace("frame-ancestors 'none';", framed)
        self._framed = self._headers | {"Content-Security-Policy": policy}
        self._embedded = embedded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        path = scope.get("path", "")
        is_framed = bool(self._embedded) and (path == self._embedded or path.startswith(f"{self._embedded}/"))
        added = self._framed if is_framed else self._headers

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, secured if scope["type"] == "http" else send)


class PlainCookies:
    """ASGI middleware that drops cookies with an escape: the console sets none.

    The standard library parses them in quadratic time (CVE-2024-7592, before Python 3.11.10).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        headers = scope.get("headers", ())
        if any(name == b"cookie" and b"\\" in value for name, value in headers):
            plain = [(name, _without_escapes(value) if name == b"cookie" else value) for name, value in headers]
            scope = {**scope, "headers": plain}
        await self._app(scope, receive, send)


def _without_escapes(cookies: bytes) -> bytes:
    return b";".join(cookie for cookie in cookies.split(b";") if b"\\" not in cookie)
