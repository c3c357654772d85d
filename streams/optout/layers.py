"""The layers that detect an opt-out in a reply. The words they compare are in `words.toml`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from streams.optout.lookalikes import UNMISTAKABLE, LookAlikes, Spellings
from streams.optout.misspellings import Neighbors
from streams.optout.phrases import Groups, Phrases, Reading, spelled_out, without_repeats
from streams.optout.text import Sentence, Words, cut, folded, original_words, words_in

LONGEST_KEYWORD = 8
"""Maximum words of a keyword with a number after it."""

SHORT_CODE = 5
"""Digits of the shortest short codes in countries that ask for STOP and the number."""

PHONE_NUMBER = 10
"""Minimum digits of a phone number that is written in parts. A date has at most eight."""

LONGEST_WHOLE = 30
"""Maximum distinct words of a reply that may be a phrase as a whole."""


class Reply:
    """A reply in the forms that layers compare, each computed on first use."""

    def __init__(self, text: str | None, reading: Reading, look_alikes: LookAlikes) -> None:
        self.text = cut(text)
        self.words: Words = words_in(self.text)
        own = reading.around.without_footer(self.text, self.words)
        if own != self.text:
            self.text, self.words = own, words_in(own)
        self._reading = reading
        self._look_alikes = look_alikes

    @property
    def bare(self) -> str:
        """All its words, separated by single spaces."""
        return " ".join(self.words)

    @property
    def asking(self) -> Words:
        """Its words without thanks, greetings, and the like."""
        return self._without_courtesies[0]

    @property
    def essential(self) -> Words:
        """Its words without any courtesies, "please" included, and without a signature."""
        return self._without_courtesies[1]

    @cached_property
    def _without_courtesies(self) -> tuple[Words, Words]:
        return self._reading.bare(self.text, self.words)

    @cached_property
    def sentences(self) -> list[Sentence]:
        """Its sentences, with gaps for text that is not read."""
        return self._reading.sentences(self.text)

    @cached_property
    def ends(self) -> tuple[Words, Words]:
        """Its first clause, and its last one if it has several."""
        return self._reading.ends(self.text)

    @cached_property
    def undone(self) -> list[Reply]:
        """Its possible readings when look-alike letters are replaced."""
        replies = [Reply(text, self._reading, self._look_alikes) for text in self._look_alikes.undone(self.text)]
        return [reply for reply in replies if reply.words != self.words]


class Layer(Protocol):
    """One way to find an opt-out."""

    def find(self, reply: Reply) -> str | None:
        """Return the keyword or phrase found, as listed."""


class Keywords:
    """The whole reply is a keyword."""

    def __init__(self, keywords: Iterable[str]) -> None:
        self.words = list(keywords)
        self._spellings: dict[str, tuple[str, ...]] = {}
        for keyword in self.words:
            bare = " ".join(words_in(keyword))
            if bare:
                self._spellings[bare] = (*self._spellings.get(bare, ()), keyword)

    @property
    def by_words(self) -> dict[str, str]:
        """Keywords by their words, separated by single spaces."""
        return {bare: keywords[0] for bare, keywords in self._spellings.items()}

    def find(self, reply: Reply) -> str | None:
        return self.spelled(reply.bare, reply)

    def spelled(self, bare: str, reply: Reply) -> str | None:
        """Return the keyword with these words, in the spelling closest to the reply's."""
        keywords = self._spellings.get(bare)
        if keywords is None:
            return None
        # OPT OUT and OPT-OUT are equal without punctuation: report the one that was written.
        written = folded(reply.text)
        return next((keyword for keyword in keywords if folded(keyword) in written), keywords[0])


class CourteousKeywords:
    """A keyword with courtesies around it, a signature below, or the receiving number after it.

    `requests` are keywords that mean something else after "please": CANCEL, END.
    """

    def __init__(self, keywords: Keywords, requests: Iterable[str]) -> None:
        self._keywords = keywords
        self._requests = frozenset(requests)

    def find(self, reply: Reply) -> str | None:
        if len(reply.essential) > LONGEST_KEYWORD:
            return None
        keyword = self._keywords.spelled(" ".join(reply.asking), reply)
        if keyword is not None:
            return keyword
        # "STOP 36111", "STOP 415-555-0100".
        keyword = self._keywords.spelled(" ".join(_without_number(reply.essential)), reply)
        return None if keyword in self._requests else keyword


def _without_number(words: Words) -> Words:
    """Return the words before a number at the end, which has as many digits as a short code or, in several parts, as a
    phone number."""
    end = len(words)
    while end and words[end - 1].isdecimal():
        end -= 1
    parts = words[end:]
    is_number = sum(map(len, parts)) >= (SHORT_CODE if len(parts) == 1 else PHONE_NUMBER)
    return words[:end] if end and is_number else words


class Misspellings:
    """The whole reply is a listed misspelling, or nearly a keyword."""

    def __init__(self, listed: Mapping[str, str], neighbors: Neighbors) -> None:
        """`listed`: keywords by misspelling."""
        self._listed: dict[str, str] = {}
        for misspelling, keyword in listed.items():
            words = words_in(misspelling)
            self._listed[" ".join(words)] = keyword
            # UN SUSCRIBE and UNS*BSCRIBE are UNSUSCRIBE and UNSBSCRIBE, wherever they are split.
            if sum(map(len, words)) >= UNMISTAKABLE:
                self._listed.setdefault("".join(words), keyword)
        self._listed.pop("", None)
        self._neighbors = neighbors

    def find(self, reply: Reply) -> str | None:
        words = reply.essential
        listed = self._listed.get(reply.bare) or self._listed.get(" ".join(words)) or self._listed.get("".join(words))
        return self._neighbors.find(words[0]) if listed is None and len(words) == 1 else listed


@dataclass(frozen=True, slots=True)
class PhraseLayer:
    """The reply is or contains a listed phrase.

    `whole` and `last_sentence` match the whole reply or its last sentence, ignoring repeated words; `anywhere` matches
    within a sentence. `whole_statement` and `statements` are the same, except for questions. `names` are whole replies
    that are not opt-outs. `added` matches anywhere. `first_clause` matches the beginning of a reply,
    `first_clause_with_reason` only if one of the words `reasons` follows.
    """

    whole: Phrases[str]
    whole_statement: Phrases[str]
    last_sentence: Phrases[str]
    first_clause: Phrases[str]
    first_clause_with_reason: Phrases[str]
    reasons: frozenset[str]
    anywhere: Phrases[str]
    statements: Phrases[str]
    names: frozenset[str]
    added: Phrases[str]
    keywords: CourteousKeywords | None = None

    @classmethod
    def of(cls, places: Mapping[str, Iterable[str]], reading: Reading, groups: Groups) -> PhraseLayer:
        """Build from patterns by where they match, and from names."""

        def phrases(place: str) -> Phrases[str]:
            # Of phrases with the same reading, the first is reported.
            found: dict[Words, str] = {}
            for phrase in (phrase for pattern in places.get(place, ()) for phrase in spelled_out(pattern, groups)):
                found.setdefault(reading.words(phrase), phrase)
            return Phrases(found)

        return cls(
            whole=phrases("whole"),
            whole_statement=phrases("whole_statement"),
            last_sentence=phrases("last_sentence"),
            first_clause=phrases("first_clause"),
            first_clause_with_reason=phrases("first_clause_with_reason"),
            reasons=frozenset(word for text in places.get("reasons", ()) for word in words_in(text)),
            anywhere=phrases("anywhere"),
            statements=phrases("statements"),
            names=frozenset(places.get("names", ())),
            added=Phrases({}),
        )

    def plus(self, phrases: Iterable[str], reading: Reading) -> PhraseLayer:
        """Return the layer with more phrases, which are not patterns."""
        return replace(self, added=Phrases({reading.words(phrase): phrase for phrase in phrases}))

    def around(self, keywords: CourteousKeywords) -> PhraseLayer:
        """Return the layer with keywords that courtesies may surround."""
        return replace(self, keywords=keywords)

    def find(self, reply: Reply) -> str | None:
        if not reply.sentences:
            return None
        return (
            (None if self.keywords is None else self.keywords.find(reply))
            or self._as_a_whole(reply)
            or next(filter(None, map(self._in_sentence, reply.sentences)), None)
            or self._at_an_end(reply)
        )

    def _as_a_whole(self, reply: Reply) -> str | None:
        if len(set(reply.words)) > LONGEST_WHOLE:
            return None
        words = without_repeats(tuple(word for sentence in reply.sentences for word in sentence.words))
        phrase = self.whole.get(words)
        if phrase is None and not any(sentence.is_question for sentence in reply.sentences):
            phrase = self.whole_statement.get(words)
        return None if " ".join(original_words(reply.text)) in self.names else phrase

    def _in_sentence(self, sentence: Sentence) -> str | None:
        phrase = self.added.find(sentence.words) or self.anywhere.find(sentence.words)
        return phrase if phrase is not None or sentence.is_question else self.statements.find(sentence.words)

    def _at_an_end(self, reply: Reply) -> str | None:
        sentence = reply.sentences[-1]
        found = None if sentence.is_question else self.last_sentence.get(without_repeats(sentence.words))
        if found is not None or not self.last_sentence.may_be_among(reply.words):
            return found
        first, last = map(without_repeats, reply.ends)
        if not sentence.is_question and (found := self.last_sentence.get(last)) is not None:
            return found
        found = self.first_clause.get(first)
        if found is not None or self.reasons.isdisjoint(reply.words):
            return found
        return self.first_clause_with_reason.get(first)


class Obfuscations:
    """Look-alike, spaced, or repeated letters hide a keyword or phrase."""

    def __init__(self, keywords: Mapping[str, str], phrases: PhraseLayer | None) -> None:
        """`keywords`: reported keywords, by their words separated by single spaces."""
        self._keywords = keywords
        self._spellings = Spellings(keywords)
        self._phrases = phrases

    def find(self, reply: Reply) -> str | None:
        candidates = [each.words for each in (reply, *reply.undone)]
        # PLEASE S.T.O.P is one, but PLEASE CANCEL hides nothing.
        if " ".join(reply.essential) not in self._keywords:
            candidates.append(reply.essential)
        keyword = next(filter(None, map(self._spellings.find, candidates)), None)
        if keyword is not None or self._phrases is None:
            return keyword
        return next(filter(None, map(self._phrases.find, reply.undone)), None)


class Complaints:
    """An accusation, in plain or disguised letters."""

    def __init__(self, accusations: PhraseLayer) -> None:
        self._accusations = accusations

    def find(self, reply: Reply) -> str | None:
        return next(filter(None, map(self._accusations.find, (reply, *reply.undone))), None)
