"""A backup opens only with its passphrase, and not at all if any of it was changed."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from trackly.commands.backup import sealed
from trackly.commands.backup.sealed import NotOpened, read, write

PASSPHRASE = "a long passphrase"
LINES = [b'{"number": %d}' % number for number in range(2_000)]


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small pieces, and a key that costs little."""
    monkeypatch.setattr(sealed, "PIECE", 256)
    monkeypatch.setattr(sealed, "_COST", 2)


def sealed_lines(lines: list[bytes]) -> bytes:
    file = io.BytesIO()
    write(file, lines, PASSPHRASE)
    return file.getvalue()


def opened(data: bytes, passphrase: str = PASSPHRASE) -> list[bytes]:
    return list(read(io.BytesIO(data), passphrase))


@pytest.mark.parametrize("lines", [[], [b"one"], LINES, [b"x" * 5_000, b""]], ids=["none", "one", "many", "long"])
def test_what_was_written_comes_back(lines: list[bytes]) -> None:
    data = sealed_lines(lines)
    assert opened(data) == lines
    assert not any(line in data for line in lines if len(line) > 8)


def test_another_passphrase_opens_nothing() -> None:
    with pytest.raises(NotOpened, match="passphrase is wrong"):
        opened(sealed_lines(LINES), "another passphrase")


@settings(max_examples=examples(300))
@given(st.data())
def test_a_file_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    whole = sealed_lines(LINES)
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(NotOpened):
        opened(bytes(changed))


@settings(max_examples=examples(300))
@given(st.data())
def test_a_file_that_ends_early_or_goes_on_is_refused(data: st.DataObject) -> None:
    whole = sealed_lines(LINES)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(NotOpened):
        opened(whole[:cut])
    with pytest.raises(NotOpened):
        opened(whole + whole[cut:])


def test_pieces_cannot_change_places() -> None:
    whole = sealed_lines(LINES)
    head = len(sealed.MAGIC) + 16 + 7
    size = 4 + 256 + 16
    first, second = whole[head : head + size], whole[head + size : head + 2 * size]
    with pytest.raises(NotOpened):
        opened(whole[:head] + second + first + whole[head + 2 * size :])
