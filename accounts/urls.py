"""Web addresses accepted in settings and from senders."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit


def check_web_address(value: str) -> None:
    """Check a web address. Raises ValueError with a text that follows the setting's name.

    A user name or password is refused, and no message repeats a value that may contain one.
    """
    try:
        parts = urlsplit(value)
        # Reading the port validates it.
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        has_user = "@" in parts.netloc
    except ValueError:
        is_web = has_user = False
    if has_user:
        raise ValueError("contains a user name or password; addresses are shown and logged, so leave them out")
    if not is_web or re.search(r"\s", value):
        # Even an unreadable value may contain a password.
        shown = "this" if "@" in value else json.dumps(value, ensure_ascii=False)
        raise ValueError(f"{shown} is not a valid web address; write it as https://example.com/path")


POLL = "poll"
"""Instead of an endpoint's URL: nothing is sent, and the receiver polls for events."""


def check_target(value: str) -> None:
    """Check an endpoint's URL. Raises ValueError."""
    if value != POLL:
        check_web_address(value)
