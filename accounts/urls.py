"""Web addresses as settings and senders may name them."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit


def check_web_address(value: str) -> None:
    """Raise ValueError, with a text that goes on after the name of the setting, for what is not a valid web address.

    A user name or password in it is refused, and no message repeats a value that may hold one.
    """
    try:
        parts = urlsplit(value)
        # Reading the port is what checks it.
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        has_user = "@" in parts.netloc
    except ValueError:
        is_web = has_user = False
    if has_user:
        raise ValueError("holds a user name or password; addresses are shown and logged, so leave them out")
    if not is_web or re.search(r"\s", value):
        # What cannot be read may hold a password all the same.
        shown = "this" if "@" in value else json.dumps(value, ensure_ascii=False)
        raise ValueError(f"{shown} is not a valid web address; write it as https://example.com/path")


POLL = "poll"
"""In place of an endpoint's URL: nothing is sent there, its receiver asks for its events."""


def check_target(value: str) -> None:
    """Raises ValueError for what cannot be an endpoint's URL."""
    if value != POLL:
        check_web_address(value)
