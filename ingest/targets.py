"""Normalizes request targets as providers send them: an extra slash, `&amp;`, a second `?`.

The original is kept for signatures that cover it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest.errors import Refused, not_found, refusal
from ingest.incoming import Incoming
from providers.pasted import repaired

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
"""Methods that reach a provider or network. Its file says which of them are right."""

_route = re.compile(r"/+api/+(webhook-feedbacks|postbacks)/+([^/]+)(/.*)?", re.DOTALL).fullmatch

Take = Callable[[Incoming], Awaitable[Response]]


class CallbackRoutes:
    """Middleware that routes callbacks and postbacks by the first part of the path. Everything else passes through."""

    def __init__(self, app: ASGIApp, routes: Mapping[str, Take]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        found = _route(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        kind, name = found[1], found[2]
        rest = rest_meant(kind, found[3])
        if kind == "postbacks" and "/" in rest[1:]:
            response = refusal(not_found())
        elif scope["method"] not in METHODS:
            response = refusal(Refused(405, "method_not_allowed", "Method Not Allowed", {"Allow": ", ".join(METHODS)}))
        else:
            incoming = Incoming(
                scope,
                receive,
                path=f"/api/{kind}/{name}{rest}",
                name=name,
                rest=rest[1:] if rest else None,
                query=repaired(scope["query_string"].decode("latin-1")),
            )
            response = await self._routes[kind](incoming)
        await response(scope, receive, send)


def rest_meant(kind: str, rest: str | None) -> str:
    """Return what follows a name in a path. Insignificant slashes are stripped, but they stay where they may belong to
    a secret."""
    rest = rest or ""
    if kind == "postbacks":
        rest = rest.rstrip("/")
    return rest if rest.strip("/") else ""


def claims_of(secret: str | None) -> list[str | None]:
    """Return a path secret as received and without the slashes around it: either may be meant."""
    return list(dict.fromkeys((secret, None if secret is None else secret.strip("/"))))
