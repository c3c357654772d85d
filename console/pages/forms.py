"""What stands before every form of the pages: it comes from a page of the console, and has a bounded size.

Forms are parsed before routes look at them, so this is decided before anything is read.
"""

from __future__ import annotations

import hmac

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from console.bodies import Disconnected, read_body, replayed
from console.errors import ApiError, not_ours
from console.pages.errors import error_page
from console.security import SAFE_METHODS, is_same_origin

MAX_FORM_BYTES = 64 << 10


class OwnForms:
    """ASGI middleware. A form that comes through was sent by a page of the console, and its body is read.

    `seconds`: how long a body may take to arrive.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            return await self._app(scope, receive, send)
        request = Request(scope)
        try:
            if not is_same_origin(request.headers):
                raise not_ours()
            body = await read_body(request.headers, receive, MAX_FORM_BYTES, self._seconds)
        except ApiError as error:
            return await error_page(request, error)(scope, receive, send)
        except Disconnected:
            return None
        await self._app(scope, replayed(body, receive), send)


async def checked_form(request: Request) -> None:
    """A dependency of routes. Raises ApiError 403 unless the form has the token of the user who is signed in."""
    if request.method in SAFE_METHODS:
        return
    expected = getattr(request.state, "csrf", None)
    given = (await request.form()).get("csrf", "")
    if expected is None or not isinstance(given, str) or not hmac.compare_digest(given.encode(), expected.encode()):
        raise not_ours()
