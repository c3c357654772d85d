"""Masks phone numbers and service addresses for readers who may not see them in full. Pure."""

from __future__ import annotations

import re
from urllib.parse import unquote

_USER = re.compile(r"(?<=://)\S*@")
_PARAMETER = re.compile(r"(?<![^?&;\s])([^\s=&?;]+)=([^&;#\s]*)")
_SECRET = re.compile(r"pass|pwd|secret|token|key|credential", re.IGNORECASE)


def masked(number: str) -> str:
    """Return a number of which only the region and the end can be seen: `+1555•••0001`."""
    return number if len(number) < 8 else f"{number[:-7]}•••{number[-4:]}"


def masked_address(text: str) -> str:
    """Return an address, a URL or `name=value` pairs, without user, password, and parameters named like a secret."""
    return _PARAMETER.sub(_masked_parameter, _USER.sub("***@", text))


def _masked_parameter(found: re.Match[str]) -> str:
    return f"{found[1]}=***" if _SECRET.search(unquote(found[1])) else found[0]
