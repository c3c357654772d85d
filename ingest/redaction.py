"""What of a request is stored: everything but what proves it."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_plus

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-twilio-signature", "x-signature"})
"""Headers that prove something; they are checked by ingest and never stored."""

SECRET_PARAMETERS = frozenset({"secret", "token", "password", "key", "signature"})
"""Parameters whose values are replaced by stars."""

_json_secret = re.compile(
    rf'("(?:{"|".join(sorted(SECRET_PARAMETERS))})"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,{{}}\[\]"]+)',
    re.IGNORECASE | re.DOTALL,
)


def storable_path(provider: str, parameters: Mapping[str, str]) -> str:
    """The path of a callback with stars in place of its secret."""
    return f"/api/webhook-feedbacks/{provider}" + ("/***" if "webhook_secret" in parameters else "")


def is_secret(given: str, accepted: Iterable[str]) -> bool:
    """Whether a secret is one of those accepted. Digests are compared: the time tells neither text nor length."""
    digest = hashlib.sha256(given.encode()).digest()
    matches = [hmac.compare_digest(digest, hashlib.sha256(each.encode()).digest()) for each in accepted]
    return any(matches)


def storable_query(query: str) -> str:
    """The query string with stars in place of secrets."""
    return "&".join(map(_storable_parameter, query.split("&")))


def storable_body(body: bytes) -> bytes:
    """The body of a form or of a JSON object with stars in place of secrets; every other byte as it is."""
    text = body.decode("latin-1")
    is_json = text.lstrip()[:1] in ("{", "[")
    return (_json_secret.sub(r'\1"***"', text) if is_json else storable_query(text)).encode("latin-1")


def storable_headers(headers: Mapping[str, str], credentials: Mapping[str, str]) -> dict[str, str]:
    """The headers without those that prove something; `credentials` may name one more (`header_name`)."""
    own = credentials.get("header_name", "").lower()
    return {name: value for name, value in headers.items() if name not in SECRET_HEADERS and name != own}


def _storable_parameter(parameter: str) -> str:
    name = parameter.partition("=")[0]
    return f"{name}=***" if unquote_plus(name).lower() in SECRET_PARAMETERS else parameter
