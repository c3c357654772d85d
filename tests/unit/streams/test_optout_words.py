"""The word lists for replies are sound, and no ordinary word is mistaken for a keyword."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
import spellchecker
from hypothesis import given
from hypothesis import strategies as st

from streams.optout import default_words
from streams.optout.lookalikes import Spellings
from streams.optout.misspellings import Neighbors, distance
from streams.optout.phrases import spelled_out
from streams.optout.text import folded, words_in

TABLE: dict[str, Any] = tomllib.loads(files("streams.optout").joinpath("words.toml").read_text("utf-8"))
GROUPS = TABLE["groups"]
WORDS = default_words()
MISSPELLINGS = TABLE["opt_out"]["misspellings"]
KEYWORDS = {word for words in TABLE["opt_out"]["keywords"].values() for word in words}

LANGUAGES = ("en", "es", "fr")
LONGEST = 13
"""Letters of the longest word that can be near to a keyword."""

LISTED = {word for words in MISSPELLINGS["words"].values() for word in words}


def patterns() -> Iterator[tuple[str, list[str]]]:
    """Every list of patterns with its place in the file."""
    tables = {name: TABLE["opt_out"][name] for name in ("phrases", "complaints")} | {
        "never": TABLE["never"],
        "but": TABLE["but"],
    }
    for layer, places in tables.items():
        for place, lists in places.items():
            for name, words in (
                lists.items() if isinstance(lists, dict) else [("", lists)] if place not in ("names", "reasons") else []
            ):
                yield f"{layer}.{place}.{name}", words


PATTERNS = list(patterns())
LEFT_OUT = {word for name in ("ignored", "requests") for text in TABLE["reading"][name] for word in words_in(text)}


def words_of(language: str) -> set[str]:
    """The words of a dictionary that are short enough to be near to a keyword, as replies are read."""
    words = spellchecker.SpellChecker(language=language).word_frequency
    return set(folded("\n".join(word for word in words if len(word) <= LONGEST)).split("\n"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_of_a_dictionary_is_a_misspelled_or_hidden_keyword(language: str) -> None:
    near = Neighbors(MISSPELLINGS["distance"], MISSPELLINGS["ordinary"], TABLE["opt_in"]["keywords"]["words"])
    hidden = Spellings({folded(keyword): keyword for keyword in KEYWORDS})
    ends = {(keyword[0], keyword[-1]) for keyword in map(folded, KEYWORDS)}
    taken = {
        word
        for word in words_of(language)
        # However letters are repeated, the first and the last one stay.
        if near.find(word) is not None or ((word[0], word[-1]) in ends and hidden.find((word,)) is not None)
    }
    # A keyword itself, and what is listed as its misspelling, may be words.
    assert taken <= {folded(keyword) for keyword in KEYWORDS} | LISTED


def test_50_misspellings_are_listed_and_found() -> None:
    listed = [(word, keyword) for keyword, words in MISSPELLINGS["words"].items() for word in words]
    assert len(listed) >= 50
    assert len({word for word, _ in listed}) == len(listed)
    for word, keyword in listed:
        found = WORDS.match(word)
        assert found is not None
        assert (found.keyword, found.layer) == (keyword, "misspellings"), word


def test_misspellings_are_of_keywords() -> None:
    assert MISSPELLINGS["words"].keys() | MISSPELLINGS["distance"].keys() <= KEYWORDS


@pytest.mark.parametrize("word", MISSPELLINGS["ordinary"])
def test_words_that_are_listed_as_ordinary_are_near_to_a_keyword(word: str) -> None:
    assert any(distance(word, keyword) <= bound for keyword, bound in MISSPELLINGS["distance"].items())
    assert WORDS.match(word) is None


@pytest.mark.parametrize(("place", "patterns"), PATTERNS)
def test_patterns_have_no_word_that_is_left_out_of_replies(place: str, patterns: list[str]) -> None:
    for pattern in patterns:
        spelled = words_in("\n".join(spelled_out(pattern, GROUPS)))
        assert LEFT_OUT.isdisjoint(spelled), pattern


@pytest.mark.parametrize(("place", "patterns"), PATTERNS)
def test_patterns_stand_for_a_bounded_number_of_phrases(place: str, patterns: list[str]) -> None:
    for pattern in patterns:
        assert re.fullmatch(r"[\w' <>|?]+", pattern), pattern
        phrases = list(spelled_out(pattern, GROUPS))
        assert len(phrases) <= 2_500, pattern
        assert max(phrase.count(" ") for phrase in phrases) < 10, pattern


@pytest.mark.parametrize(("place", "patterns"), [each for each in PATTERNS if not each[0].startswith(("never", "but"))])
def test_a_pattern_is_not_hidden_by_what_is_never_read(place: str, patterns: list[str]) -> None:
    for pattern in patterns:
        assert any(WORDS.match(phrase) for phrase in spelled_out(pattern, GROUPS)), pattern


def test_every_group_is_used() -> None:
    text = files("streams.optout").joinpath("words.toml").read_text("utf-8")
    assert [name for name in GROUPS if f"<{name}>" not in text] == []


def test_look_alikes_are_a_letter_and_characters() -> None:
    for entry in TABLE["opt_out"]["obfuscations"]["letters"]:
        assert re.fullmatch(r"[A-Z]=[^\sA-Za-z]+", entry), entry


def test_a_pattern_is_spelled_out() -> None:
    groups = {"me": ["me", "this number"]}
    assert list(spelled_out("stop text|call <me>|us please?", groups)) == [
        f"stop {verb} {whom}{please}"
        for verb in ("text", "call")
        for whom in ("me", "this number", "us")
        for please in (" please", "")
    ]


class TestDistance:
    @pytest.mark.parametrize(
        ("word", "other", "errors"),
        [
            ("STOP", "STOP", 0),
            ("", "STOP", 4),
            ("STP", "STOP", 1),
            ("STOOP", "STOP", 1),
            ("STIP", "STOP", 1),
            ("STPO", "STOP", 1),
            ("TSPO", "STOP", 2),
            ("UNSUSCRIVE", "UNSUBSCRIBE", 2),
            ("QUIET", "QUIT", 1),
            ("CA", "ABC", 3),
        ],
    )
    def test_counts_letters_that_are_missing_too_many_wrong_or_swapped(
        self, word: str, other: str, errors: int
    ) -> None:
        assert distance(word, other) == errors

    @given(st.text("ABC", max_size=6), st.text("ABC", max_size=6))
    def test_is_the_same_both_ways_and_0_only_for_the_same_word(self, word: str, other: str) -> None:
        assert distance(word, other) == distance(other, word)
        assert (distance(word, other) == 0) == (word == other)
        assert distance(word, other) <= max(len(word), len(other))

    @pytest.mark.parametrize("word", ["USUBSCRIBES", "NSUBSCRIBES", "ISUBSCRIBE", "SUBSCRIBE", "RESUBSCRIBE"])
    def test_a_word_that_is_as_near_to_an_opt_in_is_no_opt_out(self, word: str) -> None:
        assert WORDS.match(word) is None
