"""Phrases: how `words.toml` writes them, and how they are found in a reply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby, product
from typing import Generic, TypeVar

from streams.optout.text import GAP, Sentence, Words, sentences_in, words_in

T = TypeVar("T")
Groups = Mapping[str, Iterable[str]]
"""Words and phrases by the name that stands for them in a pattern."""


class Phrases(Generic[T]):
    """Things by phrase. Of phrases that begin at the same word of a reply the longest counts."""

    def __init__(self, things: Mapping[Words, T]) -> None:
        self._things = {phrase: thing for phrase, thing in things.items() if phrase}
        self._longest: dict[str, int] = {}
        for phrase in self._things:
            self._longest[phrase[0]] = max(len(phrase), self._longest.get(phrase[0], 0))

    def get(self, words: Words) -> T | None:
        """What the words are as a whole."""
        return self._things.get(words)

    def find(self, words: Words) -> T | None:
        """What the first phrase among the words is."""
        return next((thing for _, _, thing in self.hits(words)), None)

    def hits(self, words: Words) -> Iterator[tuple[int, int, T]]:
        """Where phrases begin and end, without overlap, and what they are."""
        free = 0
        for start, word in enumerate(words):
            longest = self._longest.get(word)
            if longest is None or start < free:
                continue
            for end in range(min(start + longest, len(words)), start, -1):
                thing = self._things.get(words[start:end])
                if thing is not None:
                    yield start, end, thing
                    free = end
                    break


def rewritten(words: Words, instead: Phrases[Words]) -> Words:
    """The words with others in place of some phrases, once from left to right."""
    parts: list[str] = []
    done = 0
    for start, end, others in instead.hits(words):
        parts += words[done:start]
        parts += others
        done = end
    return (*parts, *words[done:]) if done else words


def spelled_out(pattern: str, groups: Groups) -> Iterator[str]:
    """The phrases that a pattern stands for: a|b is a choice, a? may be missing, <name> is a choice of a group."""
    choices = []
    for part in pattern.split():
        words = part.removesuffix("?").split("|")
        choices.append([each for word in words for each in _members(word, groups)])
        if part.endswith("?"):
            choices[-1].append("")
    for chosen in product(*choices):
        yield " ".join(filter(None, chosen))


def without_repeats(words: Words) -> Words:
    """The words, those that repeat the one before left out."""
    return tuple(word for word, _ in groupby(words))


@dataclass(frozen=True, slots=True)
class Reading:
    """How phrases and replies are brought together.

    `ignored` words are left out, `same` phrases are read as others, and what is `never` read becomes a gap.
    """

    ignored: frozenset[str]
    same: Phrases[Words]
    first_person: frozenset[str]
    never: tuple[Phrases[Words], ...] = ()

    @classmethod
    def of(cls, ignored: Iterable[str], same: Mapping[str, Iterable[str]], first_person: Iterable[str]) -> Reading:
        """A reading that reads everything. `same`: variants by what they are read as."""
        instead = {words_in(variant): words_in(word) for word, variants in same.items() for variant in variants}
        return cls(_words(ignored), Phrases(instead), _words(first_person))

    def without(self, never: Iterable[str], but: Iterable[str] = ()) -> Reading:
        """The reading that passes over some more phrases, but not where they are part of a longer one of `but`."""
        instead = {self.words(phrase): GAP for phrase in never}
        instead |= {words: words for words in map(self.words, but)}
        return replace(self, never=(*self.never, Phrases(instead)))

    def words(self, phrase: str) -> Words:
        """The words of a phrase as they are compared."""
        return rewritten(self.essential(words_in(phrase)), self.same)

    def essential(self, words: Words) -> Words:
        """The words that are not ignored."""
        return tuple(word for word in words if word not in self.ignored)

    def sentences(self, text: str) -> list[Sentence]:
        """The sentences of a reply as they are compared, with gaps where nothing is to be read."""
        sentences = []
        for words, is_question in sentences_in(text, self.first_person):
            words = rewritten(self.essential(words), self.same)
            for never in self.never:
                words = rewritten(words, never)
            sentences.append(Sentence(words, is_question))
        return sentences


def _words(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(word for text in texts for word in words_in(text))


def _members(word: str, groups: Groups) -> Iterable[str]:
    return groups[word[1:-1]] if word.startswith("<") else (word,)
