"""What people add to their words: a phone's footer, a name below, thanks, and greetings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from streams.optout.text import Words, words_in

LONGEST_SIGNED = 120
"""Maximum characters of a reply that is searched for a name at the end: a keyword with its courtesies."""

_LONGEST_FOOTER = 80
_DELIMITER = re.compile(r"\n[^\S\n]*(?:-{2,}|_{2,}|—)[^\S\n]*(?:\n|$)")
_CAPITAL = r"[^\W\d_a-z]"
_NAME = rf"{_CAPITAL}[\w'’.&-]{{0,24}}(?:[ ,]+(?:{_CAPITAL}[\w'’.-]{{0,24}}|&)){{0,3}}"
# "STOP - Jane Roe", "Stop -Mike", and a name on a line of its own.
_DASHED = re.compile(rf"(?:(?:\s[-–—~]\s*|[-–—~]\s+|\n\s*[-–—~]?\s*){_NAME}\s*?){{1,3}}$")
_DASH = re.compile(r"[-–—~\n]")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Strips what surrounds a reply's own words. Runs in time linear in the length of the text."""

    footer: re.Pattern[str]
    closed: re.Pattern[str]
    first_words: frozenset[str]
    last_words: frozenset[str]

    @classmethod
    def of(cls, footers: Iterable[str], closings: Iterable[str]) -> Surroundings:
        """Build from `footers` (how a phone's lines begin) and `closings` (what precedes a name)."""
        begin, close = ("|".join(map(re.escape, words)) for words in (footers, closings))
        return cls(
            footer=re.compile(rf"(?:^|(?<=\s))\W{{0,3}}(?:{begin})\b.{{0,{_LONGEST_FOOTER}}}$", re.I | re.M),
            closed=re.compile(rf"\b((?i:{close}))[\s,.!:-]+{_NAME}\s*$"),
            first_words=frozenset(words_in(footer)[0] for footer in footers),
            last_words=frozenset(words_in(closing)[-1] for closing in closings),
        )

    def without_footer(self, text: str, words: Words) -> str:
        """Return the text without "Sent from my iPhone" and similar footers."""
        if self.first_words.isdisjoint(words) or (len(text) > LONGEST_SIGNED and "\n" not in text):
            return text
        return self.footer.sub("", text).strip()

    def unsigned(self, text: str, words: Words) -> str:
        """Return the text without a signature, if it is short."""
        has_dash = _DASH.search(text)
        if has_dash and "\n" in text:
            text = _DELIMITER.split(text, maxsplit=1)[0]
        if len(text) > LONGEST_SIGNED:
            return text
        if has_dash:
            text = _DASHED.sub("", text)
        return text if self.last_words.isdisjoint(words) else self.closed.sub(r"\1", text)
