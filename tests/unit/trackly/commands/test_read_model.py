"""`trackly read-model migrate`, which needs no broker."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from database.engine import disposing, open_engine
from database.migrating import is_migrated
from database.settings import DatabaseSettings
from trackly.commands.read_model import read_model


def test_migrate_makes_the_tables_and_may_be_repeated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'console.db'}")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    for _ in range(2):
        done = CliRunner().invoke(read_model, ["migrate"])
        assert done.exit_code == 0, done.output
    with disposing(open_engine(DatabaseSettings().database)) as engine:
        assert is_migrated(engine)
