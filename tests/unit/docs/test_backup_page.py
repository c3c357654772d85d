"""The pages on backups and upgrades agree with what the code keeps, and with the existing versions."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from trackly.commands.backup.command import LEAST_PASSPHRASE, VARIABLE
from trackly.commands.backup.content import TOPICS, Head

BACKUP = Path("docs/operating/backup.md").read_text("utf-8")
UPGRADE = Path("docs/operating/upgrade.md").read_text("utf-8")
CHANGES = Path("CHANGELOG.md").read_text("utf-8")


def test_every_key_that_a_backup_holds_is_on_the_page() -> None:
    head = Head(0, "0", 1, False, ("a",), "b", "c")
    for line in head.environment().splitlines():
        assert f"| `{line.partition('=')[0]}` |" in BACKUP


def test_what_a_passphrase_must_be_is_on_the_page() -> None:
    assert f"{VARIABLE}=" in BACKUP
    assert f"{LEAST_PASSPHRASE} characters or more" in BACKUP


def test_settings_come_back_before_suppressions_and_rows_after_states() -> None:
    assert [key for key in TOPICS if key.startswith("config_")] == list(TOPICS[:4])
    assert TOPICS.index("contacts") < TOPICS.index("table_contacts")


def test_every_released_version_has_a_section() -> None:
    sections = set(re.findall(r"^### (\d+\.\d+\.\d+)$", UPGRADE, re.M))
    released = set(re.findall(r"^## \[?(\d+\.\d+\.\d+)", CHANGES, re.M))
    assert released | {metadata.version("trackly")} <= sections
