"""A reply's text as words and sentences. Every function takes time in proportion to the length of the text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import NamedTuple

MAX_CHARACTERS = 1_600
"""Characters of a reply that are read: ten parts of an SMS, the most that Twilio carries."""

Words = tuple[str, ...]
"""Words in upper case, without accents, apostrophes and punctuation. An empty one stands for what is not to be read."""

GAP: Words = ("",)

ACCENTS = re.compile(r"[\u0300-\u036f]+")
# Vowel signs and the like are part of a word in Hebrew, Arabic, the scripts of India, and Thai.
_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0dff\u0e31-\u0e4e])*")
_APOSTROPHE = re.compile(r"(?<=\w)['’‘`´ʼ](?=\w)")
_NUMBER_SIGN = re.compile(r"#++(?!\w)")
# Possessive, and not begun in the middle of a row: else a long row of dots would take time by its square.
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++(?:\s++|$)|\n+")
_CLAUSE_END = re.compile(r"[.!?…,;:\n]+|\s[-–—]+\s|\b(?:please|pls|plz)\b", re.IGNORECASE)
# A straight quote after a letter or digit is an inch mark or an apostrophe.
_QUOTE = re.compile(r"[“”„«»‹›「『]|(?<![^\W_])[\"‘']")
_LAST_QUOTE = re.compile(r".*(?:[“”„«»‹›」』\"‘]|['’](?!\w))", re.DOTALL)
_SINGLE = "'‘"


class Sentence(NamedTuple):
    """The words of a sentence, and whether it ends with a question mark."""

    words: Words
    is_question: bool = False


def cut(text: str | None) -> str:
    """What is read of a text: nothing around it, and not more than MAX_CHARACTERS."""
    return (text or "").strip()[:MAX_CHARACTERS]


def folded(text: str) -> str:
    """A text in upper case, without accents and apostrophes inside words."""
    if not text.isascii():
        text = ACCENTS.sub("", unicodedata.normalize("NFD", text))
    return _APOSTROPHE.sub("", text).upper()


def words_in(text: str) -> Words:
    """The words of a text."""
    return tuple(_WORD.findall(folded(text)))


def original_words(text: str) -> list[str]:
    """The words of a text as they are written."""
    return _WORD.findall(text)


def ends_of(text: str) -> tuple[Words, Words]:
    """The words of a text up to its first comma, "please" or end of a sentence, and those behind the last of them."""
    clauses = [clause for clause in _CLAUSE_END.split(text) if _WORD.search(clause)]
    return (words_in(clauses[0]), words_in(clauses[-1])) if len(clauses) > 1 else ((), ())


def sentences_in(text: str, first_person: Collection[str]) -> Iterator[Sentence]:
    """The sentences of a text, in order, with a gap where it quotes somebody else.

    That is how reactions ('Liked "…"', '👍 to "…"', in any language) and quotes of our own messages lose what is not
    the person's own. A quote is the person's own where it is all there is, or where a word of `first_person` stands
    before it. A quote that does not end goes on to the end of the text; a single one is not a quote then ('tis).
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


def _around_quote(text: str) -> tuple[str, str, str]:
    """The text before the first quotation mark, to the last one, and after it."""
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
