"""Phrases: their syntax in `words.toml`, and how they are found in a reply."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby, product
from typing import Any, Generic, TypeVar

from streams.optout.courtesies import Surroundings
from streams.optout.misspellings import one_error_from
from streams.optout.text import GAP, Sentence, Words, ends_of, sentences_in, words_in

T = TypeVar("T")
ALONE = "."
"""Stands for the second word of a phrase that has only one. No word equals it."""

LONGEST_COURTEOUS = 16
"""Maximum words of a reply that may be a keyword with courtesies."""

Groups = Mapping[str, Iterable[str]]
"""Patterns by the name that stands for them in other patterns."""


class Phrases(Generic[T]):
    """Values by phrase. Of phrases that begin at the same word of a reply, the longest matches."""

    def __init__(self, things: Mapping[Words, T]) -> None:
        self._things = {phrase: thing for phrase, thing in things.items() if phrase}
        # Lengths of phrases that begin with two words, longest first; with one word and any other, under ALONE.
        self._lengths: dict[str, dict[str, tuple[int, ...]]] = {}
        for phrase in self._things:
            second = phrase[1] if len(phrase) > 1 else ALONE
            lengths = self._lengths.setdefault(phrase[0], {ALONE: ()})
            lengths[second] = tuple(sorted({len(phrase), *lengths.get(second, ())}, reverse=True))
        for lengths in self._lengths.values():
            for second, longer in lengths.items():
                lengths[second] = longer if second == ALONE else longer + lengths[ALONE]

    def get(self, words: Words) -> T | None:
        """Return the value of the words as a whole."""
        return self._things.get(words)

    def may_be_among(self, words: Words) -> bool:
        """Whether a phrase begins with one of the words."""
        return not self._lengths.keys().isdisjoint(words)

    def find(self, words: Words) -> T | None:
        """Return the value of the first phrase among the words."""
        return next((thing for _, _, thing in self.hits(words)), None)

    def hits(self, words: Words) -> Iterator[tuple[int, int, T]]:
        """Yield where phrases begin and end, without overlaps, with their values."""
        if not self.may_be_among(words):
            return
        free = 0
        for start, (word, second) in enumerate(zip(words, (*words[1:], ALONE), strict=True)):
            lengths = self._lengths.get(word)
            if lengths is None or start < free:
                continue
            for length in lengths.get(second) or lengths[ALONE]:
                thing = self._things.get(words[start : start + length])
                if thing is not None:
                    free = start + length
                    yield start, free, thing
                    break


def rewritten(words: Words, instead: Phrases[Words]) -> Words:
    """Replace some phrases by other words, once, from left to right."""
    parts: list[str] = []
    done = 0
    for start, end, others in instead.hits(words):
        parts += words[done:start]
        parts += others
        done = end
    return (*parts, *words[done:]) if done else words


def spelled_out(pattern: str, groups: Groups) -> Iterator[str]:
    """Expand a pattern into phrases: a|b is a choice, a? is optional, <name> is a choice from a group."""
    choices = []
    for part in pattern.split():
        words = part.removesuffix("?").split("|")
        choices.append([each for word in words for each in _members(word, groups)])
        if part.endswith("?"):
            choices[-1].append("")
    for chosen in product(*choices):
        yield " ".join(filter(None, chosen))


def without_repeats(words: Words) -> Words:
    """Return the words without immediate repeats."""
    return tuple(word for word, _ in groupby(words))


@dataclass(frozen=True, slots=True)
class Reading:
    """Normalizes phrases and replies so that they can be compared.

    Words in `ignored` are dropped, and those in `thanks` too where a "please" matters. Phrases are replaced in one pass
    after another of `same`, and those in `never` become gaps.
    """

    ignored: Phrases[Words]
    thanks: Phrases[Words]
    same: tuple[Phrases[Words], ...]
    first_person: frozenset[str]
    around: Surroundings
    never: tuple[Phrases[Words], ...] = ()

    @classmethod
    def of(cls, table: Mapping[str, Any], groups: Groups, ordinary: Collection[str]) -> Reading:
        """Build a full reading from the table `reading` of `words.toml`. `ordinary`: words that are not
        misspellings."""

        def instead(patterns: Iterable[str], word: str = "") -> dict[Words, Words]:
            return {words_in(phrase): words_in(word) for each in patterns for phrase in spelled_out(each, groups)}

        thanks = instead([*table["ignored"], *table["courtesies"]])
        ignored = Phrases(thanks | instead(table["requests"]))
        passes: list[dict[Words, Words]] = []
        for name in ("same", "chunks"):
            variants = [(phrase, word) for word, patterns in table[name].items() for phrase in instead(patterns)]
            passes.append({rewritten(phrase, ignored): words_in(word) for phrase, word in variants})
        for word in table["misspelled"]:
            (right,) = words_in(word)
            passes[0] = {(wrong,): (right,) for wrong in one_error_from(right).difference(ordinary)} | passes[0]
        return cls(
            ignored=ignored,
            thanks=Phrases(thanks),
            same=tuple(map(Phrases, passes)),
            first_person=frozenset(word for text in table["first_person"] for word in words_in(text)),
            around=Surroundings.of(table["footers"], table["closings"]),
        )

    def without(self, never: Iterable[str], but: Iterable[str] = ()) -> Reading:
        """Return a reading that skips some more phrases, except within a longer one of `but`."""
        instead = {self.words(phrase): GAP for phrase in never}
        instead |= {words: words for words in map(self.words, but)}
        return replace(self, never=(*self.never, Phrases(instead)))

    def words(self, phrase: str) -> Words:
        """Return the words of a phrase in comparable form."""
        return self._as_compared(words_in(phrase))

    def bare(self, text: str, words: Words) -> tuple[Words, Words]:
        """Return the words of a short reply without courtesies: with its requests, and without them and a signature."""
        unsigned = self.around.unsigned(text, words)
        signed = words if unsigned == text else words_in(unsigned)
        if len(signed) > LONGEST_COURTEOUS:
            return words, words
        return rewritten(words, self.thanks), self.essential(signed)

    def essential(self, words: Words) -> Words:
        """Return the words that are not ignored."""
        return rewritten(words, self.ignored)

    def sentences(self, text: str) -> list[Sentence]:
        """Return a reply's sentences in comparable form, with gaps for text that is not read."""
        sentences = []
        for words, is_question in sentences_in(text, self.first_person):
            words = self._as_compared(words)
            for never in self.never:
                words = rewritten(words, never)
            sentences.append(Sentence(words, is_question))
        return sentences

    def ends(self, text: str) -> tuple[Words, Words]:
        """Return a reply's first clause, and its last one if it has several, in comparable form."""
        first, last = (self._as_compared(words) for words in ends_of(text))
        return first, last

    def _as_compared(self, words: Words) -> Words:
        words = self.essential(words)
        for instead in self.same:
            words = rewritten(words, instead)
        return words


def _members(word: str, groups: Groups) -> Iterable[str]:
    """Return a word, or what the patterns of a group stand for."""
    if not word.startswith("<"):
        return (word,)
    return (phrase for pattern in groups[word[1:-1]] for phrase in spelled_out(pattern, groups))
