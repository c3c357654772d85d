"""Signing in at an OpenID Connect issuer: a small real one that checks the client, the code, and PKCE."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI, Request
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from bus.clock import now_ms
from console.principals import Role
from console.signin import passwords, sessions
from console.signin.links import new_link
from console.signin.users import add_user, all_users, change, disable
from tests.http_servers import served
from tests.unit.console.console_parts import Api

CLIENT, CLIENT_SECRET = "console", "a client secret"


class Issuer:
    """An issuer that signs in one person, described by `claims`."""

    def __init__(self) -> None:
        self.url = ""
        self.claims: dict[str, Any] = {"sub": "u-1", "email": "ann@example.com", "email_verified": True}
        self.forged = False
        self.broken: dict[str, Response] = {}
        self._key, self._other = _keys()
        self._asked: dict[str, dict[str, str]] = {}
        self.app = FastAPI()
        self.app.get("/.well-known/openid-configuration")(self.metadata)
        self.app.get("/jwks")(self.jwks)
        self.app.get("/authorize")(self.authorize)
        self.app.post("/token")(self.token)
        self.app.middleware("http")(self._or_broken)

    async def _or_broken(self, request: Request, answer: Any) -> Any:
        """Return the value that `broken` has for a path, or else the right one."""
        return self.broken.get(request.url.path) or await answer(request)

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def jwks(self) -> dict[str, Any]:
        return dict(KeySet([self._key]).as_dict(private=False))

    def authorize(self, request: Request) -> RedirectResponse:
        asked = dict(request.query_params)
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        self._asked["code"] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?code=code&state={asked['state']}", 302)

    async def token(self, request: Request) -> dict[str, Any]:
        form, asked = await request.form(), self._asked.pop("code")
        basic = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET.replace(' ', '+')}".encode()).decode()
        plain = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET}".encode()).decode()
        assert request.headers["authorization"] in (f"Basic {basic}", f"Basic {plain}")
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": asked["nonce"], **self.claims}
        signed = jwt.encode({"alg": "RS256", "kid": "k"}, claims, self._other if self.forged else self._key)
        return {"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": signed}


@cache
def _keys() -> tuple[RSAKey, RSAKey]:
    """Return the issuer's key, and another one under its name."""
    return RSAKey.generate_key(2048, {"kid": "k"}), RSAKey.generate_key(2048, {"kid": "k"})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    with served(issuer.app) as url:
        issuer.url = url
        yield issuer


@pytest.fixture
def api(issuer: Issuer) -> Api:
    api = Api(
        console_url="http://console", oidc_issuer=issuer.url, oidc_client_id=CLIENT, oidc_client_secret=CLIENT_SECRET
    )
    with api.engine.begin() as connection:
        add_user(connection, "ann@example.com", "Ann", {"acme": Role.VIEWER})
    return api


def a_browser(api: Api) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(api.app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://console")


async def sign_in(api: Api) -> httpx.Response:
    """Return the answer to the browser that returns from the issuer."""
    async with a_browser(api) as browser:
        away = await browser.get("/sign-in/openid?next=/accounts/acme/deliveries")
        assert away.status_code == 302, away.text
        async with httpx.AsyncClient(verify=False) as outside:
            back = (await outside.get(away.headers["location"])).headers["location"]
        assert parse_qs(urlsplit(back).query)["code"] == ["code"]
        return await browser.get(back)


def subjects(api: Api) -> list[str | None]:
    with api.engine.connect() as connection:
        return [user.subject for user in all_users(connection)]


async def test_who_was_invited_is_let_in_and_led_to_where_it_was(api: Api, issuer: Issuer) -> None:
    answer = await sign_in(api)
    assert (answer.status_code, answer.headers["location"]) == (303, "/accounts/acme/deliveries"), answer.text
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert (
        await api.request("GET", "/accounts/acme/deliveries", key="", headers={"cookie": cookie})
    ).status_code == 200
    assert subjects(api) == [f"{issuer.url} u-1"]


async def test_who_invited_a_person_gets_in_by_no_password_and_no_link_afterwards(api: Api) -> None:
    with api.engine.begin() as connection:
        change(connection, 1, password=passwords.hash_of("a password that others know"))
        link = new_link(connection, 1, now_ms())
        session = sessions.start(connection, 1, now_ms())
    assert (await sign_in(api)).status_code == 303
    assert (await api.request("GET", f"/welcome/{link}", key="")).status_code == 404
    form = {"email": "ann@example.com", "password": "a password that others know"}
    tried = await api.request("POST", "/sign-in", key="", headers={"sec-fetch-site": "same-origin"}, data=form)
    assert tried.status_code == 422
    with api.engine.connect() as connection:
        assert sessions.find(connection, session, now_ms()) is None


async def test_a_person_is_known_by_the_subject_afterwards(api: Api, issuer: Issuer) -> None:
    await sign_in(api)
    issuer.claims = {"sub": "u-1", "email": "new@example.com", "email_verified": True}
    assert (await sign_in(api)).status_code == 303


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "eve@example.com"},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email": None},
        {"aud": "another client"},
        {"iss": "https://another.example"},
        {"nonce": "another"},
        {"exp": 1},
    ],
)
async def test_who_is_not_proven_to_be_invited_stays_out(api: Api, issuer: Issuer, claims: dict[str, Any]) -> None:
    issuer.claims |= claims
    answer = await sign_in(api)
    assert answer.status_code == 403
    assert "trackly=" not in answer.headers.get("set-cookie", "")
    assert subjects(api) == [None]


async def test_a_token_that_another_key_signed_lets_nobody_in(api: Api, issuer: Issuer) -> None:
    issuer.forged = True
    assert (await sign_in(api)).status_code == 403


async def test_another_person_with_the_same_address_does_not_get_the_user(api: Api, issuer: Issuer) -> None:
    await sign_in(api)
    issuer.claims |= {"sub": "u-2"}
    assert (await sign_in(api)).status_code == 403


async def test_a_disabled_user_stays_out(api: Api) -> None:
    with api.engine.begin() as connection:
        disable(connection, 1, 1)
    assert (await sign_in(api)).status_code == 403


async def test_a_callback_that_nobody_began_is_refused(api: Api) -> None:
    answer = await api.request("GET", "/sign-in/openid/callback?code=code&state=x", key="")
    assert answer.status_code == 403


DISCOVERY = "/.well-known/openid-configuration"
BROKEN = [
    JSONResponse({"error": "server_error"}, 500),
    PlainTextResponse("<html>maintenance", 200),
    JSONResponse({}),
    JSONResponse([]),
    Response(b"\xff", 200),
]


async def begun(api: Api) -> httpx.Response:
    async with a_browser(api) as browser:
        return await browser.get("/sign-in/openid")


@pytest.mark.parametrize("answer", BROKEN, ids=range(len(BROKEN)))
async def test_an_issuer_whose_discovery_says_nothing_is_told_and_asked_again(
    api: Api, issuer: Issuer, answer: Response
) -> None:
    issuer.broken[DISCOVERY] = answer
    refused = await begun(api)
    assert refused.status_code == 503
    assert "OpenID Connect issuer" in refused.text
    issuer.broken.clear()
    assert (await begun(api)).status_code == 302


async def test_a_discovery_of_another_issuer_is_not_taken(api: Api, issuer: Issuer) -> None:
    issuer.broken[DISCOVERY] = JSONResponse(issuer.metadata() | {"issuer": "https://another.example"})
    assert (await begun(api)).status_code == 503


@pytest.mark.parametrize("path", ["/token", "/jwks"])
@pytest.mark.parametrize("answer", BROKEN, ids=range(len(BROKEN)))
async def test_an_issuer_that_breaks_half_way_lets_nobody_in_and_is_no_fault_of_the_console(
    api: Api, issuer: Issuer, path: str, answer: Response
) -> None:
    issuer.broken[path] = answer
    refused = await sign_in(api)
    assert refused.status_code in (403, 503)
    assert "trackly=" not in refused.headers.get("set-cookie", "")
    issuer.broken.clear()
    assert (await sign_in(api)).status_code == 303


async def test_an_issuer_that_does_not_answer_is_told() -> None:
    nowhere = "http://127.0.0.1:1"
    api = Api(
        console_url="http://console", oidc_issuer=nowhere, oidc_client_id=CLIENT, oidc_client_secret=CLIENT_SECRET
    )
    refused = await begun(api)
    assert refused.status_code == 503
    assert "does not answer" in refused.text


async def test_without_an_issuer_there_is_no_such_way() -> None:
    api = Api()
    assert (await api.request("GET", "/sign-in/openid", key="")).status_code == 404
    assert "organization" not in (await api.request("GET", "/sign-in", key="")).text
