"""The data directory of one machine's trackly is closed to the machine's other users."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.private import NotPrivate, keep_private, write_private
from bus.up_files import ADDRESSES, KEY_FILE


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def opened(path: Path, mode: int = 0o755) -> Path:
    path.mkdir()
    path.chmod(mode)
    return path


def test_a_new_directory_is_its_owners_alone(tmp_path: Path) -> None:
    assert not keep_private(tmp_path / "a" / "data")
    assert mode(tmp_path / "a" / "data") == 0o700


def test_so_is_whatever_is_made_afterwards(tmp_path: Path) -> None:
    keep_private(tmp_path / "data")
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    assert (mode(tmp_path / "file"), mode(tmp_path / "directory")) == (0o600, 0o700)


@pytest.mark.parametrize("content", [None, KEY_FILE, ADDRESSES, "kafka"])
def test_one_that_is_empty_or_was_used_before_is_closed(content: str | None, tmp_path: Path) -> None:
    directory = opened(tmp_path / "data", 0o775)
    if content is not None:
        (directory / content).touch()
    assert keep_private(directory)
    assert mode(directory) == 0o700


@pytest.mark.parametrize(
    ("access", "content"),
    [(0o755, "holiday.jpg"), (0o1777, KEY_FILE), (0o777, KEY_FILE)],
    ids=["somebody's home", "as /tmp", "everybody writes"],
)
def test_one_that_is_shared_or_holds_other_things_is_refused_as_it_is(
    access: int, content: str, tmp_path: Path
) -> None:
    directory = opened(tmp_path / "data", access)
    (directory / content).touch()
    with pytest.raises(NotPrivate, match=f"chmod 700 {directory}"):
        keep_private(directory)
    assert mode(directory) == access


def test_one_that_is_closed_may_hold_anything(tmp_path: Path) -> None:
    directory = opened(tmp_path / "data", 0o700)
    (directory / "holiday.jpg").touch()
    assert not keep_private(directory)


def test_a_private_file_takes_the_place_of_one_that_was_open(tmp_path: Path) -> None:
    file = tmp_path / "link"
    file.write_text("old")
    write_private(file, "new")
    assert (mode(file), file.read_text()) == (0o600, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["link"]
