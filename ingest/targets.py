"""Targets of requests as they come: a slash too many, `&amp;`, a second `?`. What is meant is routed and stored.

What came is kept for the signatures that are made over it.
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
"""What comes with one of these is looked at; which of them is right, a provider's file says."""

_route = re.compile(r"/+api/+(webhook-feedbacks|postbacks)/+([^/]+)(/.*)?", re.DOTALL).fullmatch

Take = Callable[[Incoming], Awaitable[Response]]


class Doors:
    """Middleware that gives callbacks and postbacks to their doors, by the kind in the path; the rest passes it."""

    def __init__(self, app: ASGIApp, doors: Mapping[str, Take]) -> None:
        self._app = app
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
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
            response = await self._doors[kind](incoming)
        await response(scope, receive, send)


def rest_meant(kind: str, rest: str | None) -> str:
    """What stands behind a name in a path, without slashes that mean nothing. They may belong to a secret, and stay."""
    rest = rest or ""
    if kind == "postbacks":
        rest = rest.rstrip("/")
    return rest if rest.strip("/") else ""


def claims_of(secret: str | None) -> list[str | None]:
    """A secret in the path as it came, and without slashes around it: either may be meant."""
    return list(dict.fromkeys((secret, None if secret is None else secret.strip("/"))))
