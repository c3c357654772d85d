"""What of a request is stored: everything but what proves it."""

from __future__ import annotations

import re
from collections.abc import Mapping

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-twilio-signature", "x-signature"})
"""Headers that prove something; they are checked by ingest and never stored."""

SECRET_PARAMETERS = ("secret", "token", "password", "key", "signature")
"""Query parameters whose values are replaced by stars."""

_SECRET = re.compile(rf"(?i)(^|&)({'|'.join(SECRET_PARAMETERS)})=[^&]*")


def storable_query(query: str) -> str:
    """The query string with stars in place of secrets."""
    return _SECRET.sub(r"\1\2=***", query)


def storable_headers(headers: Mapping[str, str], credentials: Mapping[str, str]) -> dict[str, str]:
    """The headers without those that prove something; `credentials` may name one more (`header_name`)."""
    own = credentials.get("header_name", "").lower()
    return {name: value for name, value in headers.items() if name not in SECRET_HEADERS and name != own}
