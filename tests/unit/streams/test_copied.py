"""A copied command counts as of when Kafka first got it."""

from __future__ import annotations

import pytest

from bus.memory import Record
from streams.copied import WRITTEN_AT, written_at


@pytest.mark.parametrize(
    ("headers", "at"),
    [
        ((), 9_000),
        (((WRITTEN_AT, b"5000"),), 5_000),
        (((WRITTEN_AT, b"10000"),), 9_000),
        (((WRITTEN_AT, b"soon"),), 9_000),
    ],
)
def test_a_command_was_written_when_its_header_says_but_never_later_than_its_own_time(
    headers: tuple[tuple[str, bytes], ...], at: int
) -> None:
    assert written_at(Record("commands", 0, 0, b"key", b"value", 9_000, headers)) == at
