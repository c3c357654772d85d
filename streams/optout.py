"""Which replies are opt-outs and opt-ins. The words are data: `optout.toml`.

A keyword counts only as the whole reply. "STOP by the store", "can't stop" and a reaction that quotes our own
text ('Liked "Reply STOP to end"') hold more than the keyword, so they are none.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_ACCENTS = re.compile(r"[\u0300-\u036f]+")
_WORD = re.compile(r"[^\W_]+")

Forms = Mapping[str, tuple[str, ...]]
"""Keywords by their bare form: words in upper case, one space between, no punctuation."""


@dataclass(frozen=True, slots=True)
class OptOut:
    """An opt-out, with the keyword in the spelling of the list."""

    keyword: str


@dataclass(frozen=True, slots=True)
class OptOutWords:
    """The keywords by which replies are read."""

    opt_out: Forms
    opt_in: Forms

    @classmethod
    def of(cls, opt_out: Iterable[str], opt_in: Iterable[str]) -> OptOutWords:
        """The words of two lists of keywords."""
        return cls(_forms(opt_out), _forms(opt_in))

    def match(self, text: str) -> OptOut | None:
        """The opt-out that a reply is, or None."""
        keyword = _find(self.opt_out, text)
        return None if keyword is None else OptOut(keyword)

    def is_opt_in(self, text: str) -> bool:
        """Whether a reply asks to be subscribed again."""
        return _find(self.opt_in, text) is not None


@cache
def default_words() -> OptOutWords:
    """The words of `optout.toml`, read once."""
    table = tomllib.loads(files("streams").joinpath("optout.toml").read_text("utf-8"))
    opt_out, opt_in = table["opt_out"]["keywords"], table["opt_in"]["keywords"]
    return OptOutWords.of([*opt_out["words"], *opt_out["carrier_words"]], opt_in["words"])


def _forms(keywords: Iterable[str]) -> Forms:
    forms: dict[str, tuple[str, ...]] = {}
    for keyword in keywords:
        bare = _bare(_folded(keyword))
        forms[bare] = (*forms.get(bare, ()), keyword)
    return forms


def _find(forms: Forms, text: str) -> str | None:
    folded = _folded(text)
    spellings = forms.get(_bare(folded))
    if spellings is None:
        return None
    # OPT OUT and OPT-OUT are alike without punctuation: the one that was written is reported.
    return next((keyword for keyword in spellings if _folded(keyword) in folded), spellings[0])


def _folded(text: str) -> str:
    if not text.isascii():
        text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    return text.upper()


def _bare(folded: str) -> str:
    return " ".join(_WORD.findall(folded))
