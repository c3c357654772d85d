"""Checks of a callback's proof. Secrets are compared as digests, so that timing reveals neither text nor length.

During rotation, an account may have a second value for each secret, `NAME_previous`; both are accepted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote

from msgspec.structs import replace

from providers.base import CallbackRequest, NotAuthentic

URL_SECRET = "secret"  # noqa: S105
"""Query parameter that proves a callback, and the name of the credential it must equal."""

PATH_SECRET = "path_secret"  # noqa: S105
"""Credential: the account's own path secret, which replaces the deployment's."""


def is_secret(given: str, accepted: Iterable[str]) -> bool:
    """Whether a secret is one of those accepted. Always compares all of them."""
    return is_digest(digest_of(given), map(digest_of, accepted))


def is_digest(digest: bytes, accepted: Iterable[bytes]) -> bool:
    """Like `is_secret`, for digests."""
    matches = [hmac.compare_digest(digest, each) for each in accepted]
    return any(matches)


def digest_of(text: str) -> bytes:
    """Return the digest by which secrets are compared."""
    return hashlib.sha256(_bytes(text)).digest()


def accepted(credentials: Mapping[str, str], name: str) -> list[str]:
    """Return the account's values for a secret: none, one, or two during rotation."""
    return [secret for key in (name, f"{name}_previous") if (secret := credentials.get(key))]


def sha1_signature(secret: str, signed: bytes) -> str:
    """Return the base64 HMAC-SHA1 under the secret's text: the signature of Twilio and EZ Texting."""
    return base64_signature(secret, signed, "sha1")


def base64_signature(secret: str, signed: bytes, algorithm: str) -> str:
    """Return the base64 HMAC under the secret's text. `algorithm` is a hashlib name."""
    return base64.b64encode(hmac.digest(_bytes(secret), signed, algorithm)).decode()


def hex_signature(secret: str, signed: bytes, algorithm: str) -> str:
    """Return the same in lower-case hexadecimal digits."""
    return hmac.digest(_bytes(secret), signed, algorithm).hex()


def require_basic(request: CallbackRequest, credentials: Mapping[str, str]) -> None:
    """Require HTTP Basic (RFC 7617) with `username` and `password`, if the account has them.

    Raises NotAuthentic: `missing_credentials`, `wrong_credentials`, or `no_credentials` if it has only one of the two.
    """
    username, passwords = _pair(credentials, "username", "password")
    if username:
        given = basic_pair(request.headers.get("authorization"))
        _require(given, [f"{username}:{password}" for password in passwords], "HTTP Basic")


def require_header(request: CallbackRequest, credentials: Mapping[str, str]) -> None:
    """Require the header `header_name` with `header_value`, if the account has them. Codes as for HTTP Basic."""
    name, values = _pair(credentials, "header_name", "header_value")
    if name:
        _require(request.headers.get(name.lower()), values, f"header {name}")


def require_url_secret(request: CallbackRequest, credentials: Mapping[str, str], *, is_signed: bool = False) -> None:
    """Require the account's `secret`, if it has one, in the query (`?account=ID&secret=...`, percent-encoded) or the
    path.

    A request signed with the secret needs none in the URL, but one given there must still be right. Raises
    NotAuthentic: `missing_secret`, or `wrong_secret`, also for a path secret of an account that has none.
    """
    secrets = accepted(credentials, URL_SECRET)
    if not secrets and request.path_secret is None:
        return
    given = secrets_in_url(request)
    if not given and is_signed:
        return
    if not given:
        raise NotAuthentic("missing_secret", "the URL has no secret")
    matches = [is_secret(each, secrets) for each in given]
    if not all(matches):
        raise NotAuthentic("wrong_secret", "the secret in the URL does not match")


def secrets_in_url(request: CallbackRequest) -> list[str]:
    """Return the secrets in the URL: in the query and in the path."""
    given = [value for name, value in parse_qsl(request.query, keep_blank_values=True) if name.lower() == URL_SECRET]
    return given if request.path_secret is None else [*given, request.path_secret]


def with_parameter(request: CallbackRequest, name: str, value: str | None) -> CallbackRequest:
    """Return the request with another parameter in its URL; unchanged without a value."""
    added = f"&{name}={quote(value, safe='')}" if value else ""
    return replace(request, url=request.url + added, query=request.query + added)


def with_url_secret(request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
    """Return the request with the account's secret in its URL, if it has one, as `require_url_secret` expects."""
    return with_parameter(request, URL_SECRET, credentials.get(URL_SECRET))


def refuse_path_secret(request: CallbackRequest) -> None:
    """Refuse any path secret, for a provider that never has one. Raises NotAuthentic: `wrong_secret`."""
    if request.path_secret is not None:
        raise NotAuthentic("wrong_secret", "the path must end with the provider's name")


def _pair(credentials: Mapping[str, str], name: str, secret: str) -> tuple[str, list[str]]:
    one, secrets = credentials.get(name) or "", accepted(credentials, secret)
    if bool(one) != bool(secrets):
        raise NotAuthentic("no_credentials", f"the account has only one of {name} and {secret}")
    return one, secrets


def basic_pair(header: str | None) -> str | None:
    """Return `user:password` of an Authorization header: "" if it holds none, None without the header."""
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    try:
        return base64.b64decode(token.strip(), validate=True).decode() if scheme.lower() == "basic" else ""
    except ValueError:
        return ""


def _require(given: str | None, expected: list[str], what: str) -> None:
    if given is None:
        raise NotAuthentic("missing_credentials", f"{what}: missing")
    if not is_secret(given, expected):
        raise NotAuthentic("wrong_credentials", f"{what}: does not match")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
