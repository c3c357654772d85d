"""The archive of Kafka's classes: created once, and never needed for a broker to start."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from bus.embedded.archive import class_archive


class Training:
    """A broker that writes an archive, or fails."""

    def __init__(self, fails: bool = False) -> None:
        self._fails = fails
        self.times = 0

    def __call__(self, directory: Path, option: str) -> None:
        self.times += 1
        Path(option.removeprefix("-XX:AOTCacheOutput=")).write_text("half" if self._fails else "classes")
        if self._fails:
            raise RuntimeError("the broker died while it started")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_it_is_made_once_for_a_java_and_a_class_path() -> None:
    train = Training()
    made = [class_archive(Path("java"), "a.jar", train) for _ in range(2)]
    assert made[0] is not None
    assert (made[0], made[0].read_text()) == (made[1], "classes")
    assert class_archive(Path("java"), "b.jar", train) not in (None, made[0])
    assert train.times == 2


def test_a_failure_is_not_tried_again_and_leaves_nothing_half_written() -> None:
    train = Training(fails=True)
    assert [class_archive(Path("java"), "a.jar", train) for _ in range(2)] == [None, None]
    assert train.times == 1


def test_who_comes_while_another_process_makes_it_goes_without(cache: Path) -> None:
    train = Training()
    with (cache / "trackly-archive.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert class_archive(Path("java"), "a.jar", train) is None
    assert train.times == 0


def test_a_cache_that_cannot_be_written_does_without(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JGO_CACHE_DIR", str(cache / "nowhere"))
    assert class_archive(Path("java"), "a.jar", Training()) is None
