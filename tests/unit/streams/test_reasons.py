"""Why a message was not delivered: the reason of every failure that a provider's table has.

docs/statuses.md shows those that say more than "unknown". Where a table changes, the test prints what it must show.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from streams.rules.callbacks import reason_of
from streams.rules.receipts import REMOVALS

ROOT = Path(__file__).parents[3]
DATA = sorted(path for path in (ROOT / "providers" / "data").glob("*.json") if not path.stem.endswith(".samples"))
REASONS = tomllib.loads((ROOT / "streams" / "reasons.toml").read_text("utf-8"))["reason"]
NOT_FAILED = ("pending", "delivered")


class Failure(NamedTuple):
    """One row of a provider's table."""

    provider: str
    code: str
    detail: str
    status_class: str

    @property
    def line(self) -> str:
        """As it stands in the page."""
        reason = reason_of(self.detail, self.status_class)
        return f"| {self.provider} | {self.code} | {self.detail} | {self.status_class} | {reason.code} |"


def failures(path: Path) -> Iterator[Failure]:
    """Rows of a table that mean: not delivered. A status has its own or its group's public status."""
    table = json.loads(path.read_text("utf-8"))
    groups = {row["id"]: row for row in table.get("groups", ())}
    for kind in ("groups", "statuses", "bare_ids", "errors"):
        for row in table.get(kind, ()):
            status = row.get("status") or groups.get(row.get("group"), {}).get("status", "undeliverable")
            if status not in NOT_FAILED:
                yield Failure(path.stem, _code(kind, row), row["detail"], row["class"])


def _code(kind: str, row: dict[str, Any]) -> str:
    if kind == "groups":
        return str(row["names"][0])
    if kind == "errors":
        return f"error {row.get('code', row.get('id'))}"
    if "group" in row:
        return f"{row['group']},{row['id']} {row['name']}" if kind == "statuses" else f"{row['group']},{row['id']}"
    return str(row.get("name") or row["code"])


ALL = [failure for path in DATA for failure in failures(path)]


def test_the_page_shows_every_failure_that_touches_the_contact_or_has_a_reason() -> None:
    page = (ROOT / "docs" / "statuses.md").read_text("utf-8")
    _, _, table = page.partition("| provider | code |")
    shown = [line for line in table.splitlines()[2:] if line.startswith("|")]
    expected = [failure.line for failure in ALL if not failure.line.endswith("| neutral | 1409 |")]
    assert shown == expected, "docs/statuses.md must show:\n" + "\n".join(expected)


@pytest.mark.parametrize("failure", ALL, ids=lambda failure: failure.line.strip("| "))
def test_a_reason_says_nothing_worse_of_the_number_than_what_is_done_to_the_contact(failure: Failure) -> None:
    """Senders drop a number at 1400: it may come for no other class than `invalid`."""
    reason = reason_of(failure.detail, failure.status_class)
    assert (reason.code == 1400) == (failure.status_class == "invalid")
    if failure.status_class in REMOVALS:
        assert reason.code in (1400, 1408)


@pytest.mark.parametrize("path", DATA, ids=lambda path: path.stem)
def test_every_row_has_a_class_that_is_known(path: Path) -> None:
    classes = {name for row in REASONS for name in row["classes"]}
    assert {failure.status_class for failure in failures(path)} <= classes


def test_no_detail_and_no_class_has_two_reasons() -> None:
    for key in ("classes", "details"):
        names = [name for row in REASONS for name in row.get(key, ())]
        assert len(names) == len(set(names))


def test_every_detail_that_is_named_is_one_of_a_table() -> None:
    details = {failure.detail for failure in ALL}
    assert {detail for row in REASONS for detail in row.get("details", ())} <= details


@pytest.mark.parametrize(
    ("detail", "status_class", "code", "message"),
    [
        ("REJECTED_DESTINATION", "invalid", 1400, "Hard Bounce"),
        ("REJECTED_ABSENT_SUBSCRIBER", "transient", 1404, "Soft Bounce"),
        ("REJECTED_SPAM", "complaint", 1408, "Carrier Violation"),
        ("UNSUBSCRIBED", "opt_out", 1408, "Carrier Violation"),
        ("MESSAGE_FILTERED", "neutral", 1408, "Carrier Violation"),
        ("REJECTED_SYSTEM_ERROR", "neutral", 1409, "Unknown Delivery"),
        # A detail that no table has goes by its class, and a class that is none is unknown.
        ("REJECTED_SOMEHOW", "transient", 1404, "Soft Bounce"),
        ("REJECTED_SOMEHOW", "new", 1409, "Unknown Delivery"),
    ],
)
def test_the_reason_is_that_of_the_detail_else_of_the_class(
    detail: str, status_class: str, code: int, message: str
) -> None:
    assert reason_of(detail, status_class) == (code, message)
