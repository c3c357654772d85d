"""Splits a reply's text into words and sentences. Every function runs in time linear in the length of the text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import NamedTuple

MAX_CHARACTERS = 1_600
"""Characters of a reply that are read: ten SMS segments, the most that Twilio carries."""

Words = tuple[str, ...]
"""Words in upper case, without accents, apostrophes, and punctuation. An empty one stands for a gap."""

GAP: Words = ("",)

ACCENTS = re.compile(r"[\u0300-\u036f]+")
# In Hebrew, Arabic, the Indian scripts, and Thai, vowel signs and the like are part of a word.
_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0dff\u0e31-\u0e4e])*")
_APOSTROPHE = re.compile(r"(?<=\w)['’‘`´ʼ](?=\w)")
_NUMBER_SIGN = re.compile(r"#++(?!\w)")
# Possessive, and never starting inside a run: otherwise a long run of dots would take quadratic time.
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++(?:\s++|$)|\n+")
_CLAUSE_END = re.compile(r"[.!?…,;:\n]+|\s[-–—]+\s|\b(?:please|pls|plz)\b", re.IGNORECASE)
# A straight quote after a letter or digit is an inch mark or an apostrophe.
_QUOTE = re.compile(r"[“”„«»‹›「『]|(?<![^\W_])[\"‘']")
_LAST_QUOTE = re.compile(r".*(?:[“”„«»‹›」』\"‘]|['’](?!\w))", re.DOTALL)
_SINGLE = "'‘"


class Sentence(NamedTuple):
    """The words of a sentence, and whether it is a question."""

    words: Words
    is_question: bool = False


def cut(text: str | None) -> str:
    """Return the part of a text that is read: stripped, and at most MAX_CHARACTERS."""
    return (text or "").strip()[:MAX_CHARACTERS]


def folded(text: str) -> str:
    """Return a text in upper case, without accents and apostrophes inside words."""
    if not text.isascii():
        text = ACCENTS.sub("", unicodedata.normalize("NFD", text))
    return _APOSTROPHE.sub("", text).upper()


def words_in(text: str) -> Words:
    """Return the words of a text."""
    return tuple(_WORD.findall(folded(text)))


def original_words(text: str) -> list[str]:
    """Return the words of a text as written."""
    return _WORD.findall(text)


def ends_of(text: str) -> tuple[Words, Words]:
    """Return the words before the first comma, "please", or end of a sentence, and those after the last."""
    clauses = [clause for clause in _CLAUSE_END.split(text) if _WORD.search(clause)]
    return (words_in(clauses[0]), words_in(clauses[-1])) if len(clauses) > 1 else ((), ())


def sentences_in(text: str, first_person: Collection[str]) -> Iterator[Sentence]:
    """Return the sentences of a text, in order, with a gap for each quotation of somebody else.

    This removes foreign words from reactions ('Liked "…"', '👍 to "…"', in any language) and from quotes of our own
    messages. A quote is the person's own if there is nothing else, or if a word of `first_person` precedes it. An
    unclosed quote extends to the end of the text; a single quotation mark is then none ('tis).
    """
    before, quoted, after = _around_quote(text)
    if not quoted:
        yield from _sentences(text)
        return
    words_before, words_after = words_in(before), words_in(after)
    if not (words_before or words_after) or any(word in first_person for word in words_before):
        yield from _sentences(f"{before} {quoted} {after}")
        return
    yield from _sentences(before)
    yield Sentence(GAP)
    yield from _sentences(after)


def has_quote(text: str) -> bool:
    """Whether a text may quote somebody."""
    return _QUOTE.search(text) is not None


def _around_quote(text: str) -> tuple[str, str, str]:
    """Return the text before the first quotation mark, up to the last one, and after it."""
    first = _QUOTE.search(text)
    last = None if first is None else _LAST_QUOTE.match(text, first.end())
    if first is None or (last is None and first.group() in _SINGLE):
        return text, "", ""
    end = len(text) if last is None else last.end()
    return text[: first.start()], text[first.start() : end], text[end:]


def _sentences(text: str) -> Iterator[Sentence]:
    start = 0
    for end in _SENTENCE_END.finditer(text):
        yield from _sentence(text[start : end.start()], end.group())
        start = end.end()
    yield from _sentence(text[start:], "")


def _sentence(text: str, end: str) -> Iterator[Sentence]:
    words = words_in(_NUMBER_SIGN.sub(" number ", text))
    if words:
        yield Sentence(words, "?" in end)
