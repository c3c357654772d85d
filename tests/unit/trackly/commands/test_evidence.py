"""`trackly evidence` and its keys, as used by someone who verifies a file."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from accounts.secrets import new_key
from database.engine import disposing, open_engine
from database.migrating import migrate
from operations.evidence import FORMAT, public_key, signed
from trackly.cli import app

runner = CliRunner()
KEY = new_key()
REMOVAL = {
    "list_number": "+18005551234", "reason": "message", "keyword": "STOP", "layer": "keywords", "said": "stop",
    "happened_at": "2026-06-12T08:14:02.310Z", "received_at": "2026-06-12T08:14:02.310Z",
    "effective_at": "2026-06-12T08:14:02.722Z", "took_ms": 412,
}  # fmt: skip
EVIDENCE = {
    "format": FORMAT, "account": "acme", "number": "+15551230001", "made_at": "2026-11-29T12:00:00.000Z",
    "made_by": "ann", "complete_until": None, "left_out": 0, "states": [], "removals": [REMOVAL], "steps": [],
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRACKLY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRACKLY_EVIDENCE_KEY", KEY)
    path = tmp_path / "evidence.json"
    path.write_bytes(orjson.dumps(signed(EVIDENCE, KEY), option=orjson.OPT_INDENT_2))
    return path


def test_a_file_that_was_signed_here_is_proven(file: Path) -> None:
    done = runner.invoke(app, ["evidence", "verify", str(file)])
    assert (done.exit_code, "is as it was signed" in done.stdout) == (0, True)
    assert '"stop": STOP (keywords), from +18005551234, in effect after 0.412 s' in done.stderr


def test_a_file_is_proven_by_any_of_the_keys_that_are_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACKLY_EVIDENCE_KEY")
    keys = ["--key", public_key(new_key()), "--key", public_key(KEY)]
    assert runner.invoke(app, ["evidence", "verify", str(file), *keys, "--json"]).exit_code == 0


def test_a_file_that_was_changed_is_not_proven(file: Path) -> None:
    file.write_text(file.read_text("utf-8").replace("STOP", "GO"), "utf-8")
    done = runner.invoke(app, ["evidence", "verify", str(file), "--json"])
    assert (done.exit_code, json.loads(done.stdout)["proven"]) == (1, False)


def test_without_any_key_the_command_asks_whose_it_is_to_be(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACKLY_EVIDENCE_KEY")
    done = runner.invoke(app, ["evidence", "verify", str(file)])
    assert (done.exit_code, "pass the public key with --key" in done.stderr) == (1, True)


def test_a_key_that_is_none_is_wrong_usage(file: Path) -> None:
    assert runner.invoke(app, ["evidence", "verify", str(file), "--key", "no key"]).exit_code == 2


def test_a_page_is_made_of_what_is_proven_alone(file: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert runner.invoke(app, ["evidence", "verify", str(file), "--page", str(page)]).exit_code == 0
    assert "STOP" in page.read_text("utf-8")
    page.unlink()
    file.write_text(file.read_text("utf-8").replace("STOP", "GO"), "utf-8")
    assert runner.invoke(app, ["evidence", "verify", str(file), "--page", str(page)]).exit_code == 1
    assert not page.exists()


def test_the_key_that_is_shown_is_the_public_one(file: Path) -> None:
    assert runner.invoke(app, ["secrets", "evidence-key"]).stdout.strip() == public_key(KEY)
    shown = json.loads(runner.invoke(app, ["secrets", "evidence-key", "--json"]).stdout)
    assert shown["public_key"] == public_key(KEY)
    assert KEY not in json.dumps(shown)


def test_a_new_key_signs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = runner.invoke(app, ["secrets", "new-evidence-key"]).stdout.strip()
    assert signed(EVIDENCE, key)["signature"]["public_key"] == public_key(key)
    monkeypatch.setenv("TRACKLY_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TRACKLY_EVIDENCE_KEY", raising=False)
    assert runner.invoke(app, ["secrets", "evidence-key"]).exit_code == 1


def test_the_key_of_the_data_directory_is_taken_where_none_is_set(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACKLY_EVIDENCE_KEY")
    folder = file.parent / "data"
    folder.mkdir()
    (folder / "evidence.key").write_text(KEY + "\n", "utf-8")
    assert runner.invoke(app, ["evidence", "verify", str(file)]).exit_code == 0


@pytest.mark.parametrize("text", ["hunter2!", "aGVsbG8="])
def test_a_setting_that_is_no_key_is_told_without_its_value(
    file: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("TRACKLY_EVIDENCE_KEY", text)
    done = runner.invoke(app, ["evidence", "verify", str(file)])
    assert (done.exit_code, "TRACKLY_EVIDENCE_KEY" in done.stderr, text in done.stderr) == (1, True, False)


def test_times_of_an_account_without_removals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'trackly.db'}"
    monkeypatch.setenv("DATABASE_URL", url)
    with disposing(open_engine(url)) as engine:
        migrate(engine)
    shown = json.loads(runner.invoke(app, ["evidence", "times", "acme", "--since", "1h", "--json"]).stdout)
    assert (shown["removals"], shown["p50_ms"]) == (0, None)
    assert "acme" in runner.invoke(app, ["evidence", "times", "acme"]).stdout


def test_without_a_key_nothing_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLY_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TRACKLY_EVIDENCE_KEY", raising=False)
    done = runner.invoke(app, ["contact", "evidence", "acme", "+15551230001"])
    assert (done.exit_code, "There is no key" in done.stderr) == (1, True)
