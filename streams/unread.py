"""Checks whether unreadable data may contain an opt-out."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from itertools import islice
from urllib.parse import unquote_plus

from providers.bodies import codec_of, is_utf_16
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
    provider: re.compile("|".join(rf"(?<!\w){re.escape(flag).replace('=', '[=:]')}(?!\w)" for flag in flags)).search
    for provider, flags in _table.items()
}
# The dotted names of events, `contact.opted_out`: one that is not supported yet may be an opt-out.
_is_event = re.compile(r"(?:[a-z]\w*[.-])+(?:\w+_)?(?:opt(?:ed)?[._-]?out|unsubscribed?)").fullmatch
_binary = re.compile(rb"[\x00-\x08\x0e-\x1f]").search
_escapes = re.compile(r"\\u([0-9A-Fa-f]{4})|&#(?:([0-9]{1,7})|[xX]([0-9A-Fa-f]{1,6}));").sub
_ignored = re.compile(r"[\s\"']+").sub
# A broken body is split wherever values may end, whatever it was meant to be.
_edges = re.compile(r"[\"&=<>\r\n]").split


def text_of(body: bytes, content_type: str | None) -> str | None:
    """Return a body as text, however it is encoded; None if it is not text, such as a compressed one. A body that is
    neither UTF-8 nor in its declared charset is read as Windows-1252.
    """
    codec = codec_of(body, content_type) or _codec_guessed(body)
    if not is_utf_16(codec) and _binary(body, 0, MAX_CHARACTERS):
        return None
    return body.decode(codec, "replace")


class Unread:
    """The unreadable items of one callback, one after the other."""

    def __init__(self, provider: str, words: OptOutWords) -> None:
        self._flagged = _flags.get(provider)
        self._words = words
        self._read: dict[str, bool] = {}

    def may_opt_out(self, payload: str) -> bool:
        """Whether a payload contains a provider's opt-out flag, the name of an event that sounds like one, or a text
        that would be an opt-out as a reply.

        A callback with ten thousand broken items may have too many texts to examine in time; any that is not examined
        may be an opt-out.
        """
        payload = payload[:MAX_CHARACTERS]
        if self._flagged is not None and self._flagged(_ignored("", payload.lower())):
            return True
        texts = dict.fromkeys(text.strip() for text in map(_unquoted, _edges(_escapes(_meant, payload))))
        return any(map(self._is_opt_out, islice(filter(_is_said, texts), MAX_VALUES)))

    def _is_opt_out(self, text: str) -> bool:
        known = self._read.get(text)
        if known is None:
            if len(self._read) >= MAX_TEXTS:
                return True
            known = self._read[text] = self._words.match(text) is not None or _is_event(text) is not None
        return known


def _codec_guessed(body: bytes) -> str:
    try:
        body.decode()
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _meant(escape: re.Match[str]) -> str:
    """Return the character that an escape of JSON or XML stands for; a blank for half a character or for none."""
    hexadecimal, digits, hexadecimal_in_xml = escape.groups()
    code = int(digits) if digits else int(hexadecimal or hexadecimal_in_xml, 16)
    return " " if 0xD800 <= code < 0xE000 or code > 0x10FFFF else chr(code)


def _unquoted(text: str) -> str:
    if "%" not in text:
        return text.replace("+", " ")
    plain = unquote_plus(text)
    return unquote_plus(text, "cp1252") if "\ufffd" in plain else plain


def _is_said(text: str) -> bool:
    return text not in _NAMES and any(map(str.isalpha, text))
