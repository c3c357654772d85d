"""The gate before every API route: key, rate limit, body size. Nothing else is read before."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from accounts.keys import ApiKeys
from bus.clock import now_ms
from console.backends.key_uses import KeyUses
from console.errors import ApiError, invalid_key, missing_key, not_ours
from console.http.browser_security import SAFE_METHODS, is_same_origin, is_token
from console.http.problems import answer_of
from console.http.rate_limits import Rates
from console.http.request_bodies import Disconnected, check_url, check_values, read_body, replayed
from console.principals import Principal, principal_of
from console.settings import ConsoleSettings

API = "/api/"
OPENAPI = "/api/openapi.json"
"""The only API path that needs no key."""


class ApiGate:
    """ASGI middleware. A request that passes has its caller in `request.state.principal`, and its body read."""

    def __init__(self, app: ASGIApp, keys: ApiKeys, settings: ConsoleSettings, uses: KeyUses) -> None:
        self._app = app
        self._keys = keys
        self._settings = settings
        self._uses = uses
        self._rates = Rates(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer why not."""
        if scope["type"] != "http" or not scope["path"].startswith(API) or scope["path"] == OPENAPI:
            return await self._app(scope, receive, send)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Answers contain phone numbers.
                message["headers"] = [*message["headers"], (b"cache-control", b"no-store")]
            await send(message)

        try:
            check_url(scope)
            headers = Headers(scope=scope)
            _state(scope)["principal"] = self._admit(headers, scope)
            limit, seconds = self._settings.api_max_body_bytes, self._settings.api_timeout
            body = await read_body(headers, receive, limit, seconds)
            check_values(body)
        except ApiError as error:
            return await answer_of(error)(scope, receive, answer)
        except Disconnected:
            return None
        await self._app(scope, replayed(body, receive), answer)

    def _admit(self, headers: Headers, scope: Scope) -> Principal:
        text = headers.get("x-api-key") or _bearer(headers.get("authorization", ""))
        if not text:
            return self._signed_in(headers, scope)
        key = self._keys.find(text, now_ms())
        if key is None:
            raise invalid_key()
        self._rates.take(key.id)
        self._uses.note(key.id)
        return principal_of(key)

    def _signed_in(self, headers: Headers, scope: Scope) -> Principal:
        """Return the user of a session. A change must come from one of our own pages, and carry its token."""
        state = _state(scope)
        user: Principal | None = state.get("principal")
        if user is None:
            raise missing_key()
        is_ours = is_same_origin(headers) and is_token(headers.get("x-csrf-token"), state["csrf"])
        if scope["method"] not in SAFE_METHODS and not is_ours:
            raise not_ours()
        self._rates.take(f"user {user.id}")
        return user


def _bearer(header: str) -> str:
    scheme, _, text = header.partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _state(scope: Scope) -> MutableMapping[str, Any]:
    state: MutableMapping[str, Any] = scope.setdefault("state", {})
    return state
