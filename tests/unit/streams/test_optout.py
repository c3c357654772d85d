"""Keywords by which replies are read."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.optout import OptOut, OptOutWords, default_words

WORDS = default_words()
TABLE = tomllib.loads(files("streams").joinpath("optout.toml").read_text("utf-8"))
KEYWORDS = TABLE["opt_out"]["keywords"]["words"] + TABLE["opt_out"]["keywords"]["carrier_words"]
OPT_IN = TABLE["opt_in"]["keywords"]["words"]


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_every_keyword_is_reported_in_its_own_spelling(keyword: str) -> None:
    assert WORDS.match(keyword) == OptOut(keyword)
    assert WORDS.match(keyword.lower()) == OptOut(keyword)
    assert not WORDS.is_opt_in(keyword)


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("Stop", "STOP"),
        ("  stop \n", "STOP"),
        ("STOP.", "STOP"),
        ("stop!!!", "STOP"),
        ('"STOP"', "STOP"),
        ("“Stop”", "STOP"),
        ("¡ALTO!", "ALTO"),
        ("*STOP*", "STOP"),
        ("stop_", "STOP"),
        ("STOP 🛑", "STOP"),
        ("\u200bSTOP\ufeff", "STOP"),
        ("remove   me", "REMOVE ME"),
        ("Remove\nme.", "REMOVE ME"),
        ("remove, me", "REMOVE ME"),
        ("Opt out", "OPT OUT"),
        ("opt-out", "OPT-OUT"),
        ("Opt - out", "OPT OUT"),
        ("optout", "OPTOUT"),
        ("ARRÊT", "ARRET"),
        ("arrêt", "ARRET"),
        ("arre\u0302t", "ARRET"),
        ("Désabonner", "DESABONNER"),
        ("ＳＴＯＰ", "STOP"),
        ("wrong", "WRONG"),
    ],
)
def test_a_reply_that_is_a_keyword_is_an_opt_out(text: str, keyword: str) -> None:
    assert WORDS.match(text) == OptOut(keyword)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "!?",
        "👍",
        "STOP by the store",
        'Liked "Reply STOP to end"',
        "Laughed at “STOP to end”",
        "👍 to “Reply STOP to end”",
        "can't stop",
        "Don't stop!",
        "non-stop",
        "bus stop",
        "QUITE",
        "STOPPED",
        "ENDS",
        "the end",
        "no wrong answers",
        "HELP",
        "INFO",
        "START",
        "YES",
        "1",
        "стоп",
    ],
)
def test_other_replies_are_no_opt_out(text: str) -> None:
    assert WORDS.match(text) is None


@pytest.mark.parametrize("text", [*OPT_IN, "start", " Yes! ", "YES 👍", "unstop.", "Subscribe\n"])
def test_a_reply_that_is_an_opt_in_word_is_an_opt_in(text: str) -> None:
    assert WORDS.is_opt_in(text)
    assert WORDS.match(text) is None


@pytest.mark.parametrize("text", ["", "yes please", "start tomorrow", "STOP", "don't start", "HELP", "👍"])
def test_other_replies_are_no_opt_in(text: str) -> None:
    assert not WORDS.is_opt_in(text)


@given(
    st.sampled_from(KEYWORDS),
    st.text(" \t\n.,!?-*\"'()_…🛑", max_size=5),
    st.text(" \t\n.,!?-*\"'()_…🛑", max_size=5),
)
def test_punctuation_around_a_keyword_does_not_matter(keyword: str, before: str, after: str) -> None:
    assert WORDS.match(before + keyword.title() + after) == OptOut(keyword)


@given(st.sampled_from(KEYWORDS), st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True))
def test_a_keyword_inside_a_word_is_none(keyword: str, letters: str) -> None:
    known = {word.replace("-", " ") for word in KEYWORDS}
    text = (keyword + letters).upper()
    assert (WORDS.match(text) is not None) == (text.replace("-", " ") in known)


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    found = WORDS.match(text)
    assert found is None or found.keyword in KEYWORDS
    assert found is None or not WORDS.is_opt_in(text)


def test_words_can_be_other_than_the_default() -> None:
    words = OptOutWords.of(["Basta ya"], ["Vuelvo"])
    assert words.match("¡basta ya!") == OptOut("Basta ya")
    assert words.is_opt_in("VUELVO")
    assert words.match("STOP") is None
