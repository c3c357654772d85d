"""What streams does before it takes its first record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bus.worker.app import Worker
from streams.app import create_app
from streams.settings import StreamsSettings


async def test_words_and_settings_are_read_before_the_first_record(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[str] = []

    def noting(what: str) -> Callable[..., Any]:
        async def note(*_: object) -> None:
            done.append(what)

        return note

    worker = create_app(StreamsSettings(data_dir=tmp_path))
    monkeypatch.setattr("streams.app.default_words", lambda: done.append("words"))
    monkeypatch.setattr(worker.accounts, "start", noting("settings"))
    monkeypatch.setattr(Worker, "on_start", noting("records"))
    await worker.on_start()
    assert done == ["words", "settings", "records"]
