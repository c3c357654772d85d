"""Queries of URLs that people pasted: from a page that shows `&amp;`, or to where another `?` is put behind them."""

from __future__ import annotations

import re

_ampersand = re.compile("&amp;", re.IGNORECASE).sub
# These stand in what was pasted, and none of them has a bare question mark in its value.
_second_mark = re.compile(r"((?:^|&)(?:account|secret|token)=[^&?]*)\?", re.IGNORECASE).sub


def repaired(query: str) -> str:
    """The query with `&` for `&amp;`, and for a second `?` behind the account or a secret. What is right stays."""
    if "&" in query and "amp;" in query.lower():
        query = _ampersand("&", query)
    return _second_mark(r"\1&", query) if "?" in query else query
