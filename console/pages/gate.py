"""The gate before every page. A form must come from a page of the console, and has a limited size.

Forms are parsed before routes see them, so this is decided before anything is read.
"""

from __future__ import annotations

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from console.errors import ApiError, not_ours
from console.http.browser_security import SAFE_METHODS, is_same_origin
from console.http.rate_limits import Rates
from console.http.request_bodies import Disconnected, check_url, read_body, replayed
from console.pages import assets
from console.pages.errors import error_page
from console.principals import Principal
from console.settings import ConsoleSettings

MAX_FORM_BYTES = 64 << 10


class PageGate:
    """ASGI middleware. A form that passes was sent by a page of the console, and its body is read.

    A signed-in user may request as many pages as a key may make requests.
    """

    def __init__(self, app: ASGIApp, settings: ConsoleSettings) -> None:
        self._app = app
        self._settings = settings
        self._rates = Rates(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer why not."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = Request(scope)
        try:
            check_url(scope)
            self._take(request)
            if scope["method"] not in SAFE_METHODS:
                receive = await self._own_form(request, receive)
        except ApiError as error:
            return await error_page(request, error)(scope, receive, send)
        except Disconnected:
            return None
        await self._app(scope, receive, send)

    def _take(self, request: Request) -> None:
        user: Principal | None = getattr(request.state, "principal", None)
        if user is not None and not request.url.path.startswith(assets.PATH):
            self._rates.take(user.id)

    async def _own_form(self, request: Request, receive: Receive) -> Receive:
        if not is_same_origin(request.headers):
            raise not_ours()
        return replayed(await read_body(request.headers, receive, MAX_FORM_BYTES, self._settings.api_timeout), receive)
