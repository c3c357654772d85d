"""Sign-in with an OpenID Connect issuer: discovery, authorization code with PKCE, and ID token claims.

Authlib checks state, nonce, signature, issuer, and audience. https://openid.net/specs/openid-connect-core-1_0.html
"""

from __future__ import annotations

import hashlib
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from joserfc.errors import JoseError
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from console.errors import ApiError, not_available
from console.settings import ConsoleSettings
from console.signin import links, sessions
from console.signin.users import User, UserError, change, email_of, user_by_email, user_by_subject

log = logging.getLogger(__name__)

PATH = "/sign-in/openid"
CALLBACK = f"{PATH}/callback"

COOKIE = "trackly-openid"
COOKIE_SECONDS = 600
"""Seconds that a sign-in at the issuer may take."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity at the issuer. `email` is None unless the issuer has verified it."""

    subject: str
    email: str | None


class OpenId:
    """The configured issuer."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        self._client = self._new_client()

    async def begin(self, request: Request) -> Response:
        """Redirect to the issuer. Raises ApiError (503)."""
        with self._understood():
            metadata = await self._client.load_server_metadata()
            # https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationValidation
            if str(metadata["issuer"]).rstrip("/") != self._settings.oidc_issuer:
                raise ValueError("the discovery document names another issuer")
            answer: Response = await self._client.authorize_redirect(request, self._settings.address + CALLBACK)
        return answer

    async def identity(self, request: Request) -> Identity:
        """Return who came back. Raises ApiError: 403 if the issuer or its answer is invalid, 503."""
        with self._understood():
            claims = (await self._client.authorize_access_token(request))["userinfo"]
            verified = claims.get("email") if claims.get("email_verified") is True else None
            return Identity(f"{claims['iss']} {claims['sub']}", verified)

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Handle anything that the issuer may answer. After a failure, cached metadata is fetched again."""
        try:
            yield
        except (OAuthError, JoseError):
            raise not_let_in("The issuer did not let you in, or it took too long. Try again.") from None
        except httpx2.HTTPError as error:
            self._client = self._new_client()
            log.warning("the OpenID Connect issuer does not answer: %s", type(error).__name__)
            raise not_available("The OpenID Connect issuer does not answer.") from None
        except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
            self._client = self._new_client()
            log.error(
                "cannot use the OpenID Connect issuer's answer, check TRACKLY_OIDC_ISSUER: %s: %s",
                type(error).__name__, error,
            )  # fmt: skip
            raise not_available(
                "The answer of the OpenID Connect issuer cannot be used. The console's log has the details."
            ) from None

    def _new_client(self) -> Any:
        return OAuth().register(
            "openid",
            client_id=self._settings.oidc_client_id,
            client_secret=self._settings.oidc_client_secret.get_secret_value(),
            server_metadata_url=f"{self._settings.oidc_issuer}/.well-known/openid-configuration",
            client_kwargs={"scope": "openid email profile", "code_challenge_method": "S256", "verify": _trusted()},
        )


@cache
def _trusted() -> ssl.SSLContext:
    # Loading the certificate authorities takes longer than asking the issuer.
    return httpx2.create_ssl_context()


def cookie_key(settings: ConsoleSettings) -> str:
    """Return the key for the cookie of a sign-in in progress: the same for every console of a deployment."""
    return hashlib.sha256(f"trackly openid {settings.oidc_client_secret.get_secret_value()}".encode()).hexdigest()


def let_in(connection: Connection, found: Identity, now: int) -> tuple[User, str] | None:
    """Return the user and the token of a new session; None if no admin has invited this person.

    A user is identified by the subject or, the first time, by the verified email address. From then on nothing else
    grants access: password, links, and sessions end.
    """
    user = user_by_subject(connection, found.subject)
    if user is None and found.email is not None:
        try:
            invited = user_by_email(connection, email_of(found.email))
        except UserError:
            return None
        if invited is not None and invited.subject is None:
            # Whoever invited this person may have opened the link, and may know the password.
            change(connection, invited.id, subject=found.subject, password=None)
            links.revoke(connection, invited.id)
            sessions.end_all(connection, invited.id)
            user = invited
    if user is None or user.disabled_at is not None:
        return None
    return user, sessions.start(connection, user.id, now)


def not_let_in(message: str) -> ApiError:
    """Answer without signing anybody in."""
    return ApiError(403, "forbidden", "You are not signed in.", message)
