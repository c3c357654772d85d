"""The quality of the layers on labeled replies. `pytest -s` prints the figures, and the misread replies."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from streams.optout import LAYERS, default_words

DATA = Path(__file__).parents[2] / "data"
TUNED_ON = ("replies.toml", "replies_once_held_out.toml")
HELD_OUT, MISLEADING = "replies_held_out.toml", "replies_made_to_mislead.toml"


@dataclass(frozen=True)
class Reply:
    """A reply: what it means and the layer that is to find it, then what is made of it and by which layer."""

    text: str
    language: str
    expected: str
    layer: str | None
    outcome: str
    found_by: str | None

    @property
    def is_right(self) -> bool:
        return self.outcome == self.expected

    @property
    def wants_out(self) -> bool:
        return self.expected in ("opt_out", "complaint")

    @property
    def is_removed(self) -> bool:
        return self.outcome in ("opt_out", "complaint")


def read(file: str) -> Iterator[Reply]:
    words = default_words()
    for section in tomllib.loads((DATA / file).read_text("utf-8"))["replies"]:
        labels = section.get("language", "en"), section["expect"], section.get("layer")
        for text in section["texts"]:
            found = words.match(text)
            if found is None:
                yield Reply(text, *labels, "opt_in" if words.is_opt_in(text) else "reply", None)
            else:
                yield Reply(text, *labels, "complaint" if found.reason == "complaint" else "opt_out", found.layer)


@cache
def tuned() -> list[Reply]:
    return [reply for file in TUNED_ON for reply in read(file)]


@cache
def unseen() -> list[Reply]:
    return list(read(HELD_OUT))


def every_reply() -> list[Reply]:
    return [*tuned(), *unseen()]


def share(replies: list[Reply], is_so: Callable[[Reply], bool]) -> float:
    return sum(map(is_so, replies)) / len(replies)


def precision(replies: list[Reply]) -> float:
    """Of the contacts that are removed, those that want to be."""
    return share([reply for reply in replies if reply.is_removed], lambda reply: reply.wants_out)


def recall(replies: list[Reply]) -> float:
    """Of the contacts that want to be removed, those that are."""
    return share([reply for reply in replies if reply.wants_out], lambda reply: reply.is_removed)


def precision_of(layer: str, replies: list[Reply]) -> float:
    """Of the replies that a layer takes, those that it takes for what they mean."""
    return share([reply for reply in replies if reply.found_by == layer], lambda reply: reply.is_right)


def recall_of(layer: str, replies: list[Reply]) -> float:
    """Of the replies that a layer is there for, those that are taken for what they mean, by whichever layer."""
    return share([reply for reply in replies if reply.layer == layer], lambda reply: reply.is_right)


def tell(name: str, replies: list[Reply]) -> None:
    """Print the figures of a collection by layer and by language, and every reply that is misread."""
    rows = [(layer, precision_of(layer, replies), recall_of(layer, replies)) for layer in LAYERS if name == "tuned"]
    languages = {reply.language: [each for each in replies if each.language == reply.language] for reply in replies}
    rows += [(language, precision(some), recall(some)) for language, some in languages.items()]
    rows.append(("over all", precision(replies), recall(replies)))
    print(f"\n{name}: {len(replies)} replies, {sum(reply.wants_out for reply in replies)} of them to be removed")
    for title, *figures in rows:
        print(f"  {title:14} {figures[0]:.3f}  {figures[1]:.3f}")
    for reply in replies:
        if not reply.is_right:
            print(f"  {reply.expected} read as {reply.outcome}: {reply.text!r}")


def test_nearly_everybody_who_asks_is_found_in_the_tuned_collections() -> None:
    tell("tuned", tuned())
    assert recall(tuned()) >= 0.99


def test_most_are_found_in_a_collection_that_the_rules_have_not_seen() -> None:
    tell("held out", unseen())
    assert recall(unseen()) >= 0.93


def test_nobody_is_removed_who_did_not_ask_for_it() -> None:
    assert precision(every_reply()) >= 0.995
    assert precision(unseen()) >= 0.995


@pytest.mark.parametrize("layer", ["keywords", "obfuscations"])
def test_no_keyword_is_missed_in_plain_letters_or_hidden_ones(layer: str) -> None:
    assert [reply.text for reply in tuned() if reply.layer == layer and not reply.is_right] == []


def test_most_sentences_that_are_made_to_mislead_do_not() -> None:
    misread = [reply.text for reply in read(MISLEADING) if not reply.is_right]
    print(f"\n{MISLEADING}: {len(misread)} of {len(list(read(MISLEADING)))} are misread")
    for text in misread:
        print(f"  {text!r}")
    assert len(misread) <= 27


def test_opt_ins_are_found_and_nothing_else_is_one() -> None:
    for reply in every_reply():
        assert (reply.outcome == "opt_in") == (reply.expected == "opt_in"), reply.text


def test_the_collections_are_large_enough_and_hold_no_reply_twice() -> None:
    texts = [reply.text for reply in every_reply()]
    assert len(texts) == len(set(texts))
    assert len(unseen()) >= 300
    assert {reply.language for reply in unseen()} == {"en", "es", "fr", "pt", "de"}
    for layer in LAYERS:
        assert sum(reply.layer == layer for reply in tuned()) >= 50, layer
    assert {reply.layer for reply in tuned()} == {*LAYERS, None}
