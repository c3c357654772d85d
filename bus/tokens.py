"""Tokens for authenticating to Kafka (SASL/OAUTHBEARER).

A token is reused for every new connection until four fifths of its lifetime have passed, so an issuer outage costs
nothing while the token is valid.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bus.clock import now_seconds

TIMEOUT = 5.0
"""Seconds for an issuer to answer."""

MOST_BYTES = 65_536
"""Maximum bytes of an issuer's answer."""

DEFAULT_LIFE = 300.0
"""Token lifetime in seconds if the issuer does not say."""


class TokenUnavailable(OSError):
    """No token could be obtained. The message says from where and why, without secrets. Clients treat it as a failed
    connection."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its expiry in Unix seconds."""

    text: str
    expires_at: float


class Tokens:
    """Tokens of one issuer, shared by all connections of a process. `issue` blocks and raises TokenUnavailable."""

    def __init__(self, issue: Callable[[], Token], now: Callable[[], float] = now_seconds) -> None:
        self._issue = issue
        self._now = now
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._renew_at = 0.0

    def get(self) -> str:
        """Return a valid token. Raises TokenUnavailable. Blocks during a request, so call it in a thread."""
        with self._lock:
            now = self._now()
            if self._token is None or now >= self._renew_at:
                try:
                    self._token = self._issue()
                    self._renew_at = now + 0.8 * (self._token.expires_at - now)
                except TokenUnavailable:
                    if self._token is None or now >= self._token.expires_at:
                        raise
            return self._token.text


def client_credentials(url: str, client_id: str, secret: str, scope: str | None) -> Callable[[], Token]:
    """Issue tokens by OAuth 2 client credentials (RFC 6749, 4.4), with HTTP Basic client authentication (2.3.1)."""
    form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
    known_by = ":".join(urllib.parse.quote_plus(part) for part in (client_id, secret))
    headers = {
        "Authorization": f"Basic {base64.b64encode(known_by.encode()).decode()}",
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }
    opener = urllib.request.build_opener(_NoRedirect)

    def issue() -> Token:
        request = urllib.request.Request(url, urllib.parse.urlencode(form).encode(), headers)
        try:
            with opener.open(request, timeout=TIMEOUT) as answer:
                body = answer.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            error.close()
            raise TokenUnavailable(f"KAFKA_OAUTH_TOKEN_URL answered {error.code}{_reason(error)}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise TokenUnavailable(f"KAFKA_OAUTH_TOKEN_URL does not answer: {reason}") from None
        return _token_in(body)

    return issue


def msk_iam(servers: str) -> Callable[[], Token]:
    """Issue tokens made by AWS's signer from the credentials of this machine or pod. Raises TokenUnavailable.

    The region comes from the environment or, failing that, from the brokers' names.
    """
    try:
        from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # type: ignore[import-not-found]
        from botocore.exceptions import BotoCoreError  # type: ignore[import-not-found]
        from botocore.session import get_session  # type: ignore[import-not-found]
    except ModuleNotFoundError as error:
        raise TokenUnavailable(
            f"KAFKA_SASL_MECHANISM is AWS_MSK_IAM, which needs {error.name}: pip install 'trackly[msk]'"
        ) from None
    named = re.search(r"\.kafka(?:-serverless)?\.([a-z0-9-]+)\.amazonaws\.com", servers)
    region = get_session().get_config_variable("region") or (named and named[1])
    if not region:
        raise TokenUnavailable("KAFKA_SASL_MECHANISM is AWS_MSK_IAM, which needs AWS_REGION")

    def issue() -> Token:
        try:
            text, expires_ms = MSKAuthTokenProvider.generate_auth_token(region)
        except (BotoCoreError, ValueError) as error:
            raise TokenUnavailable(f"AWS returned no credentials for Kafka: {error}") from None
        return Token(text, expires_ms / 1000)

    return issue


def _token_in(body: bytes) -> Token:
    try:
        answer: Any = json.loads(body) if len(body) <= MOST_BYTES else None
        text, life = answer["access_token"], float(answer.get("expires_in") or DEFAULT_LIFE)
    except (ValueError, TypeError, LookupError, AttributeError):
        raise TokenUnavailable("KAFKA_OAUTH_TOKEN_URL did not return a token") from None
    if not isinstance(text, str) or not text.isascii() or not text.isprintable() or " " in text or life <= 0:
        raise TokenUnavailable("KAFKA_OAUTH_TOKEN_URL did not return a token")
    return Token(text, now_seconds() + life)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Never sends the secret anywhere else."""

    def redirect_request(self, *_: object) -> None:
        """Treat a redirect as an error."""


def _reason(error: urllib.error.HTTPError) -> str:
    return {400: ": the scope or client is unknown", 401: ": the client id or secret is wrong"}.get(error.code, "")
