"""What the layers are worth on labelled replies. `pytest -s` prints the figures, and the replies that are misread."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from streams.optout import LAYERS, default_words

DATA = Path(__file__).parents[2] / "data"
TUNED_ON, HELD_OUT, MISLEADING = "replies.toml", "replies_held_out.toml", "replies_made_to_mislead.toml"
FILES = (TUNED_ON, HELD_OUT)
WORDS = default_words()


@dataclass(frozen=True)
class Reply:
    """A reply: what it means and the layer that is to find it, then what is made of it and by which layer."""

    text: str
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
    for section in tomllib.loads((DATA / file).read_text("utf-8"))["replies"]:
        for text in section["texts"]:
            found = WORDS.match(text)
            if found is None:
                outcome = "opt_in" if WORDS.is_opt_in(text) else "reply"
                yield Reply(text, section["expect"], section.get("layer"), outcome, None)
            else:
                outcome = "complaint" if found.reason == "complaint" else "opt_out"
                yield Reply(text, section["expect"], section.get("layer"), outcome, found.layer)


REPLIES = {file: list(read(file)) for file in FILES}
ALL = [reply for replies in REPLIES.values() for reply in replies]


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


@pytest.mark.parametrize("file", FILES)
def test_the_figures(file: str) -> None:
    replies = REPLIES[file]
    print(
        f"\n{file}: {len(replies)} replies, {sum(reply.wants_out for reply in replies)} of them opt-outs or complaints"
    )
    print(f"  {'':14} precision  recall")
    for layer in LAYERS:
        print(f"  {layer:14} {precision_of(layer, replies):9.3f}  {recall_of(layer, replies):6.3f}")
    print(f"  {'over all':14} {precision(replies):9.3f}  {recall(replies):6.3f}")
    for reply in replies:
        if not reply.is_right:
            print(f"  {reply.expected} read as {reply.outcome}: {reply.text!r}")
    assert recall(replies) >= 0.88


def test_nobody_is_removed_who_did_not_ask_for_it() -> None:
    assert precision(ALL) >= 0.995


@pytest.mark.parametrize("layer", ["keywords", "obfuscations"])
@pytest.mark.parametrize("file", FILES)
def test_no_keyword_is_missed_in_plain_letters_or_hidden_ones(file: str, layer: str) -> None:
    assert [reply.text for reply in REPLIES[file] if reply.layer == layer and not reply.is_right] == []


def test_most_sentences_that_are_made_to_mislead_do_not() -> None:
    misread = [reply.text for reply in read(MISLEADING) if not reply.is_right]
    print(f"\n{MISLEADING}: {len(misread)} of {len(list(read(MISLEADING)))} are misread")
    for text in misread:
        print(f"  {text!r}")
    assert len(misread) <= 30


def test_opt_ins_are_found_and_nothing_else_is_one() -> None:
    for reply in ALL:
        assert (reply.outcome == "opt_in") == (reply.expected == "opt_in"), reply.text


def test_the_collections_are_large_enough_and_hold_no_reply_twice() -> None:
    texts = [reply.text for reply in ALL]
    assert len(texts) == len(set(texts))
    assert len(texts) >= 450
    assert len(REPLIES[HELD_OUT]) >= 0.2 * len(texts)
    for layer in LAYERS:
        assert sum(reply.layer == layer for reply in ALL) >= 50, layer
    assert {reply.layer for reply in ALL} == {*LAYERS, None}
