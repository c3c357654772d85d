"""Checks whether unreadable data may contain an opt-out."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from itertools import islice
from urllib.parse import unquote_plus

from streams.optout import OptOutWords

MAX_CHARACTERS = 64_000
"""Characters of a payload that are examined. Real ones have a few thousand."""

MAX_VALUES = 200
"""Distinct texts of a payload that are examined; each costs as much as a reply."""

MAX_TEXTS = 400
"""Distinct texts of a callback that are examined, over all its items."""

_NAMES = frozenset({"optOut"})
"""Field names that look like a person's words."""

_table = tomllib.loads(files(__package__).joinpath("unread.toml").read_text("utf-8"))
_flags = {
    provider: re.compile("|".join(rf"(?<!\w){re.escape(flag)}(?!\w)" for flag in flags)).search
    for provider, flags in _table.items()
}
_ignored = re.compile(r"[\s\"']+").sub
# A broken body is split wherever values may end, whatever it was meant to be.
_edges = re.compile(r"[\"&=<>\r\n]").split


class Unread:
    """The unreadable items of one callback, one after the other."""

    def __init__(self, provider: str, words: OptOutWords) -> None:
        self._flagged = _flags.get(provider)
        self._words = words
        self._read: dict[str, bool] = {}

    def may_opt_out(self, payload: str) -> bool:
        """Whether a payload contains a provider's opt-out flag, or a text that would be an opt-out as a reply.

        A callback with ten thousand broken items may have too many texts to examine in time; any that is not examined
        may be an opt-out.
        """
        payload = payload[:MAX_CHARACTERS]
        if self._flagged is not None and self._flagged(_ignored("", payload.lower())):
            return True
        texts = dict.fromkeys(text.strip() for text in map(unquote_plus, _edges(payload)))
        return any(map(self._is_opt_out, islice(filter(_is_said, texts), MAX_VALUES)))

    def _is_opt_out(self, text: str) -> bool:
        known = self._read.get(text)
        if known is None:
            if len(self._read) >= MAX_TEXTS:
                return True
            known = self._read[text] = self._words.match(text) is not None
        return known


def _is_said(text: str) -> bool:
    return text not in _NAMES and any(map(str.isalpha, text))
