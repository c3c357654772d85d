"""Disguised letters: full-width, Cyrillic, and Greek ones, digits, signs, and invisible characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from streams.optout.text import ACCENTS, MAX_CHARACTERS, Words

MAX_LETTERS = 100
"""Maximum letters of a reply that is searched for a keyword, repeats included."""

UNMISTAKABLE = 6
"""Minimum letters of a keyword that may be split anywhere: UN SUB SCRIBE, but not AL TO."""

# Soft hyphens, joiners, zero-width spaces, direction marks, variation selectors, blank letters, tags.
_INVISIBLE = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    r"\ufeff\uffa0\U000e0000-\U000e01ef]"
)
_REPEATED = re.compile(r"(.)\1+")


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Letters by their look-alikes, in as many tables as one character has readings."""

    tables: tuple[Mapping[int, str], ...]
    other_sign: re.Pattern[str]
    hiding: re.Pattern[str]

    @classmethod
    def of(cls, entries: Iterable[str]) -> LookAlikes:
        """Build from entries LETTER=characters. Other texts, and the characters A to Z, are skipped."""
        letters: dict[str, list[str]] = {}
        for entry in entries:
            letter, _, characters = entry.partition("=")
            for character in characters if len(letter) == 1 else "":
                if not (character.isascii() and character.isalpha()):
                    letters.setdefault(character, []).append(letter.upper())
        readings = range(max(map(len, letters.values()), default=1))
        tables = tuple({ord(c): found[min(n, len(found) - 1)] for c, found in letters.items()} for n in readings)
        signs = re.escape("".join(c for c in letters if c.isascii() and not c.isalnum())) or r"\0"
        # A sign counts in $TOP and $ T O P, but not in STOP!; a digit in 5TOP and 5 T O P, but not in AT 5 OR 6.
        sign = rf"[{signs}](?=\w)|(?<!\S)[{signs}](?=\s\w)"
        digit = r"[0-9](?=[a-z]|\W{1,3}[a-z]\b)|(?:[a-z]|\b[a-z]\W{1,3})[0-9]"
        hiding = re.compile(rf"[^\0-\x7f–—‘’“”…]|{sign}|{digit}", re.IGNORECASE)
        return cls(tables, re.compile(rf"(?!{sign})[{signs}]"), hiding)

    def undone(self, text: str) -> list[str]:
        """Return the possible readings of a text: none if it hides nothing or is mostly digits."""
        if not self.hiding.search(text):
            return []
        plain = ACCENTS.sub("", unicodedata.normalize("NFKD", _INVISIBLE.sub("", text)))[:MAX_CHARACTERS]
        if 2 * sum(map(str.isdigit, plain)) > sum(map(str.isalnum, plain)):
            return []
        plain = self.other_sign.sub(" ", plain)
        return list(dict.fromkeys(plain.translate(table) for table in self.tables))


def can_hide(keyword: str) -> bool:
    """Whether a keyword is long enough to be disguised: 7d is not a TD."""
    return len(keyword) > 2


class Spellings:
    """Finds keywords whose letters are spaced, dotted, or repeated: S.T.O.P, STO P, STOOOP."""

    def __init__(self, keywords: Mapping[str, str]) -> None:
        """`keywords`: reported keywords, by their words separated by single spaces."""
        self._keywords: dict[str, tuple[str, str]] = {}
        for bare, keyword in keywords.items():
            letters = bare.replace(" ", "")
            self._keywords.setdefault(_shape(letters), (keyword, letters))

    def find(self, words: Words) -> str | None:
        """Return the keyword that the words spell."""
        letters = "".join(words)
        if len(letters) > MAX_LETTERS:
            return None
        known = self._keywords.get(_shape(letters))
        if known is None:
            return None
        keyword, shortest = known
        if any(given < wanted for given, wanted in zip(_runs(letters), _runs(shortest), strict=True)):
            return None
        if len(words) == 1:
            # With one extra letter it is a misspelling, unless it is another word: EEND is Dutch for a duck.
            return None if len(letters) - len(shortest) == 1 else keyword
        spelled = min(map(len, words)) == 1 or len(shortest) >= UNMISTAKABLE
        return keyword if spelled else None


def _runs(letters: str) -> list[int]:
    return [len(list(run)) for _, run in groupby(letters)]


def _shape(letters: str) -> str:
    return _REPEATED.sub(r"\1", letters)
