"""Repairs query strings that people pasted wrongly: from a page that shows `&amp;`, or with a second `?`."""

from __future__ import annotations

import re

_ampersand = re.compile("&amp;", re.IGNORECASE).sub
# These come from pasted URLs, and none of their values contains a bare question mark.
_second_mark = re.compile(r"((?:^|&)(?:account|secret|token)=[^&?]*)\?", re.IGNORECASE).sub


def repaired(query: str) -> str:
    """Return the query with `&` for `&amp;`, and for a second `?` after the account or a secret. A correct query is
    unchanged."""
    if "&" in query and "amp;" in query.lower():
        query = _ampersand("&", query)
    return _second_mark(r"\1&", query) if "?" in query else query
