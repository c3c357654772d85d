"""An account's opt-out and opt-in words: those in `words.toml`, and its own."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from schemas.records import AccountConfig
from streams.optout.layers import (
    Complaints,
    CourteousKeywords,
    Keywords,
    Layer,
    Misspellings,
    Obfuscations,
    PhraseLayer,
    Reply,
)
from streams.optout.lookalikes import LookAlikes, can_hide
from streams.optout.misspellings import Neighbors
from streams.optout.phrases import Reading, spelled_out
from streams.optout.text import Words, cut, has_quote, words_in

LAYERS = ("keywords", "misspellings", "phrases", "obfuscations", "complaints")
"""In the order they are tried; the first match wins."""

NEVER = "never"
"""Key of an account's words that no layer may match."""

LONGEST_NAMED = 10
"""Maximum words of a reply that may be a keyword with the account's name after it."""

SHORTEST_NAME = 3
"""Minimum characters of an account's name that may follow a keyword."""

KEPT = 1_000
"""Word sets to cache, for accounts that have their own."""


@dataclass(frozen=True, slots=True)
class OptOut:
    """An opt-out: the listed keyword or phrase, the layer that found it, the reason for the removal."""

    keyword: str
    layer: str
    reason: str = "message"


class OptOutWords:
    """Classifies replies as opt-outs, by one of the layers, or as opt-ins."""

    def __init__(self, added: Mapping[str, tuple[str, ...]], off: tuple[str, ...]) -> None:
        """`added`: words by layer, or by NEVER. `off`: disabled layers. Unknown layers are ignored."""
        own = {name: added.get(name, ()) for name in (*LAYERS, NEVER)}
        self._reading = _reading().without(own[NEVER])
        self._taken_out = {self._reading.words(phrase) for phrase in own[NEVER]} - {()}
        self._look_alikes = _look_alikes(own["obfuscations"])
        self._opt_in = Keywords(_table()["opt_in"]["keywords"]["words"])

        listed = [*_flat(_table()["opt_out"]["keywords"]), *own["keywords"]]
        keywords = Keywords([word for word in listed if not self._is_taken_out(word)])
        # Disguises and courtesies are only searched in enabled layers.
        known = Keywords([]) if "keywords" in off else keywords
        hidden = Keywords(filter(can_hide, known.words))
        phrases = _phrases("phrases").plus(own["phrases"], self._reading)
        asking = _table()["opt_out"]["keywords_that_ask"]
        self._asking = frozenset(asking)
        layers: dict[str, Layer] = {
            "keywords": keywords,
            "misspellings": _misspellings(own["misspellings"]),
            "phrases": phrases.around(CourteousKeywords(known, asking)),
            "obfuscations": Obfuscations(
                hidden.by_words, None if "phrases" in off else phrases.around(CourteousKeywords(hidden, asking))
            ),
            "complaints": Complaints(_phrases("complaints").plus(own["complaints"], self._reading)),
        }
        self._layers = [(name, layers[name]) for name in LAYERS if name not in off]
        self._off = [layers[name] for name in ("keywords", "misspellings") if name in off]

    def match(self, text: str | None, names: Collection[str] = ()) -> OptOut | None:
        """Return a reply's opt-out, or None. Accepts any text, and reads the first MAX_CHARACTERS.

        `names` are the account's: STOP ACME is a STOP.
        """
        found = self._match(text)
        return self._before_a_name(text, names) if found is None and names else found

    def _match(self, text: str | None) -> OptOut | None:
        reply = Reply(text, self._reading, self._look_alikes)
        # A disabled keyword must not match as a phrase: PLEASE STOP is one, with or without please.
        if self._is_taken_out(reply.text) or any(layer.find(reply) for layer in self._off):
            return None
        for name, layer in self._layers:
            keyword = layer.find(reply)
            if keyword is not None:
                return OptOut(keyword, name, "complaint" if name == "complaints" else "message")
        return None

    def _before_a_name(self, text: str | None, names: Collection[str]) -> OptOut | None:
        own = cut(text)
        words = words_in(own)
        if not 1 < len(words) <= LONGEST_NAMED or has_quote(own) or self._is_taken_out(own):
            return None
        for name in map(words_in, names):
            begin = len(words) - len(name)
            if begin > 0 and words[begin:] == name and _is_name(name):
                found = self._match(" ".join(words[:begin]))
                # After CANCEL, it may be an order that is canceled.
                if found is not None and found.keyword not in self._asking:
                    return found
        return None

    def is_opt_in(self, text: str | None) -> bool:
        """Whether a reply asks to be subscribed again."""
        return self._opt_in.find(Reply(text, self._reading, self._look_alikes)) is not None

    def _is_taken_out(self, text: str) -> bool:
        return bool(self._taken_out) and self._reading.words(text) in self._taken_out


def _is_name(words: Words) -> bool:
    return sum(map(len, words)) >= SHORTEST_NAME and not all(map(str.isdecimal, words))


def default_words() -> OptOutWords:
    """Return the words of `words.toml` alone."""
    return _words((), ())


def names_of(account: AccountConfig | None) -> tuple[str, ...]:
    """Return the names of an account that may follow a keyword in a reply."""
    return () if account is None else (account.name, account.id)


def words_of(account: AccountConfig | None) -> OptOutWords:
    """Return an account's words, with its additions and disabled layers. None: an unknown account."""
    if account is None:
        return default_words()
    added = tuple((layer, tuple(words)) for layer, words in account.opt_out_words.items())
    return _words(added, tuple(account.opt_out_off))


@lru_cache(maxsize=KEPT)
def _words(added: tuple[tuple[str, tuple[str, ...]], ...], off: tuple[str, ...]) -> OptOutWords:
    return OptOutWords(dict(added), off)


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("streams.optout").joinpath("words.toml").read_text("utf-8"))


@cache
def _reading() -> Reading:
    never, but = (
        [phrase for pattern in _flat(_table()[name]) for phrase in spelled_out(pattern, _table()["groups"])]
        for name in (NEVER, "but")
    )
    ordinary = _table()["opt_out"]["misspellings"]["ordinary"]
    return Reading.of(_table()["reading"], _table()["groups"], ordinary).without(never, but)


@cache
def _phrases(layer: str) -> PhraseLayer:
    places = {place: _flat(lists) for place, lists in _table()["opt_out"][layer].items()}
    return PhraseLayer.of(places, _reading(), _table()["groups"])


@lru_cache(maxsize=KEPT)
def _look_alikes(added: tuple[str, ...]) -> LookAlikes:
    return LookAlikes.of([*_table()["opt_out"]["obfuscations"]["letters"], *added])


def _misspellings(added: tuple[str, ...]) -> Misspellings:
    layer = _table()["opt_out"]["misspellings"]
    listed = {word: word for word in added}
    listed |= {misspelling: keyword for keyword, words in layer["words"].items() for misspelling in words}
    neighbors = Neighbors(layer["distance"], layer["ordinary"], _table()["opt_in"]["keywords"]["words"])
    return Misspellings(listed, neighbors)


def _flat(lists: list[str] | Mapping[str, list[str]]) -> list[str]:
    """Return the words of a list, or of several lists by subject."""
    return [word for words in lists.values() for word in words] if isinstance(lists, Mapping) else lists
