"""Finds words that differ from a keyword by a letter or two."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from string import ascii_uppercase


class Neighbors:
    """Keywords with the number of letters that may be wrong. `ordinary` words never match, however close.

    A word just as close to one of `others` means that one: USUBSCRIBE could be SUBSCRIBE.
    """

    def __init__(self, bounds: Mapping[str, int], ordinary: Iterable[str], others: Collection[str]) -> None:
        self._ordinary = frozenset(ordinary)
        self._others = others
        self._by_length: dict[int, list[tuple[str, frozenset[str], int]]] = {}
        for keyword, bound in bounds.items():
            for length in range(len(keyword) - bound, len(keyword) + bound + 1):
                self._by_length.setdefault(length, []).append((keyword, frozenset(keyword), bound))

    def find(self, word: str) -> str | None:
        """Return the keyword that a word of the letters A to Z is meant to be."""
        near = self._by_length.get(len(word))
        if near is None or word in self._ordinary or not (word.isascii() and word.isalpha()):
            return None
        for keyword, letters, bound in near:
            # A single error cannot be at both ends, and two errors there leave the middle intact.
            if word[0] != keyword[0] and word[-1] != keyword[-1] and (bound == 1 or keyword[2:-2] not in word):
                continue
            if len(letters.union(word)) - len(letters) <= bound:
                errors = distance(word, keyword)
                # Without an error it is the keyword itself, which another layer finds.
                if 0 < errors <= bound:
                    return None if self._is_another(word, errors) else keyword
        return None

    def _is_another(self, word: str, bound: int) -> bool:
        return any(abs(len(word) - len(other)) <= bound and distance(word, other) <= bound for other in self._others)


def one_error_from(word: str) -> set[str]:
    """Yield every word with a single error: a missing, extra, or wrong letter, or two swapped ones."""
    halves = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    swapped = {a + b[1] + b[0] + b[2:] for a, b in halves if len(b) > 1}
    missing = {a + b[1:] for a, b in halves if b}
    others = {a + letter + b[1:] for a, b in halves if b for letter in ascii_uppercase}
    added = {a + letter + b for a, b in halves for letter in ascii_uppercase}
    return (swapped | missing | others | added) - {word}


def distance(word: str, other: str) -> int:
    """Return the number of insertions, deletions, changes, and swaps of neighbors that turn one word into the other.

    Damerau-Levenshtein distance in the variant that never edits a letter twice (optimal string alignment).
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
