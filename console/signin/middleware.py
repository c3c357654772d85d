"""Finds each request's session: the signed-in user is in `request.state.principal` afterwards."""

from __future__ import annotations

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from accounts.callers import Proxies
from bus.clock import now_ms
from console.backends.database import in_thread
from console.errors import not_available
from console.http.problems import answer_of
from console.settings import ConsoleSettings
from console.signin import sessions
from console.signin.sessions import Session, cookie_name
from schemas.ids import random_id


class Sessions:
    """ASGI middleware: sets `principal`, `csrf`, and `session` in the state of a request with a session's cookie.

    `remote_ip` and `request_id` are set for every request.
    """

    def __init__(self, app: ASGIApp, engine: Engine, settings: ConsoleSettings) -> None:
        self._app = app
        self._engine = engine
        self._cookie = cookie_name(settings.is_behind_tls)
        self._proxies = Proxies(settings.forwarded_allow_ips)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            connection = HTTPConnection(scope)
            state = scope.setdefault("state", {})
            peer = None if connection.client is None else connection.client.host
            state["remote_ip"] = self._proxies.caller(peer, connection.headers.getlist("x-forwarded-for"))
            state["request_id"] = random_id("req_")
            token = connection.cookies.get(self._cookie)
            if token:
                try:
                    found = await in_thread(self._find, token)
                except SQLAlchemyError:
                    await answer_of(not_available("The database does not answer. Try again."))(scope, receive, send)
                    return
                if found is not None:
                    state.update(principal=found.principal, csrf=found.csrf, session=token)
        await self._app(scope, receive, send)

    def _find(self, token: str) -> Session | None:
        now = now_ms()
        with self._engine.connect() as connection:
            found = sessions.find(connection, token, now)
        if found is not None and found.is_due:
            with self._engine.begin() as connection:
                sessions.touch(connection, found, now)
        return found
