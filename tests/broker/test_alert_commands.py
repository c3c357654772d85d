"""Alert commands: settings, mutes that survive a settings file, tests of the channels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import Trackly, lines_of

pytestmark = pytest.mark.broker

ACCOUNTS = """
[[accounts]]
id = "acme"
[accounts.alerts]
opt_outs = false
webhook_url = "http://127.0.0.1:9/alerts"
[[accounts]]
id = "silent"
"""


@pytest.fixture
def accounts(trackly: Trackly, topics: None, tmp_path: Path) -> str:
    """The path of the file that was applied."""
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNTS, "utf-8")
    assert trackly("apply", str(path), "--yes", "--plain-secrets").returncode == 0
    return str(path)


def test_a_mute_is_seen_and_outlives_a_settings_file_until_it_is_ended(trackly: Trackly, accounts: str) -> None:
    assert json.loads(trackly("alerts", "mute", "acme", "2h", "--json").stdout)["muted_until"]
    assert trackly("apply", accounts, "--yes", "--plain-secrets").returncode == 0
    [settings] = lines_of(trackly("alerts", "list", "acme", "--json"))
    assert settings["muted_until"]
    assert settings["channels"] == ["webhook"]
    assert (settings["types"]["opt_outs"], settings["types"]["billing"]) == (False, True)
    assert json.loads(trackly("alerts", "unmute", "acme", "--json").stdout)["muted_until"] is None


def test_a_test_shows_what_each_channel_answers_and_fails_where_one_does(trackly: Trackly, accounts: str) -> None:
    done = trackly("alerts", "test", "acme", "--json")
    assert (done.returncode, json.loads(done.stdout)["channel"]) == (1, "webhook")
    assert json.loads(done.stdout)["end"] in ("connect", "invalid_url", "refused_address")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("mute", "acme", "soon"), "DURATION"),
        (("mute", "acme", "90d"), "DURATION"),
        (("mute", "nobody", "2h"), "nobody"),
        (("test", "silent"), "has no channel"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    trackly: Trackly, accounts: str, arguments: tuple[str, ...], told: str
) -> None:
    done = trackly("alerts", *arguments)
    assert done.returncode in (1, 2)
    assert told in done.stderr
    assert "Traceback" not in done.stderr
