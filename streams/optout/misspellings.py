"""Words that are a keyword but for a letter or two."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Keywords with the number of letters that may be wrong. `ordinary` words are none of them, however near.

    A word that is as near to one of `others` means that one: USUBSCRIBE could be SUBSCRIBE.
    """

    bounds: Mapping[str, int]
    ordinary: Collection[str]
    others: Collection[str]

    def find(self, word: str) -> str | None:
        """The keyword that a word is meant to be. It must be of the letters A to Z."""
        if not (word.isascii() and word.isalpha()) or word in self.ordinary:
            return None
        letters = set(word)
        for keyword, bound in self.bounds.items():
            if _may_be_near(word, keyword, bound) and len(letters.difference(keyword)) <= bound:
                errors = distance(word, keyword)
                # Without an error it is the keyword itself, which is for another layer.
                if 0 < errors <= bound:
                    return None if self._is_another(word, errors) else keyword
        return None

    def _is_another(self, word: str, bound: int) -> bool:
        return any(_may_be_near(word, other, bound) and distance(word, other) <= bound for other in self.others)


def distance(word: str, other: str) -> int:
    """Letters to insert, leave out, change or swap with their neighbour to make one word of the other.

    Damerau-Levenshtein distance, in the form that never edits a letter twice (optimal string alignment).
    """
    before_last: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            errors = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == wanted:
                errors = min(errors, before_last[j - 2] + 1)
            row.append(errors)
        before_last, last = last, row
    return last[-1]


def _may_be_near(word: str, other: str, bound: int) -> bool:
    return abs(len(word) - len(other)) <= bound
