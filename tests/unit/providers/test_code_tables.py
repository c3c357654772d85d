"""The tables in providers/data: what providers' codes mean."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import pytest

from providers import PROVIDERS

PUBLIC_STATUSES = {"pending", "delivered", "undeliverable", "expired", "rejected"}
CLASSES = {"delivered", "complaint", "invalid", "transient", "opt_out", "neutral"}


def tables(name: str) -> dict[str, list[dict[str, Any]]]:
    data = json.loads(files("providers").joinpath(f"data/{name}.json").read_text("utf-8"))
    return {key: value for key, value in data.items() if isinstance(value, list)}


def meanings(name: str) -> Iterable[dict[str, Any]]:
    return (row for rows in tables(name).values() for row in rows if "class" in row)


def key_of(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the columns by which a row is found; empty for rows that are no codes."""
    keys = (("group", "id"), ("code",), ("id",), ("name",), ("action",))
    return next((key for key in keys if row.keys() >= set(key)), ())


NAMES = sorted(name for name in PROVIDERS if files("providers").joinpath(f"data/{name}.json").is_file())
CODE_TABLES = [(name, table) for name in NAMES for table, rows in tables(name).items() if key_of(rows[0])]


@pytest.mark.parametrize("name", NAMES)
def test_every_meaning_has_a_known_class_and_status(name: str) -> None:
    rows = list(meanings(name))
    assert rows
    for row in rows:
        assert row["class"] in CLASSES
        assert row["detail"]
        assert row.get("status", "pending") in PUBLIC_STATUSES


def test_the_classes_that_change_a_contact_are_all_reached() -> None:
    assert {row["class"] for row in meanings("infobip")} == CLASSES
    assert {row["class"] for row in meanings("twilio")} == CLASSES - {"complaint"}


def test_no_name_of_infobip_means_two_things_in_the_groups_of_failures() -> None:
    found: dict[str, set[tuple[str, str]]] = {}
    for row in tables("infobip")["statuses"] + tables("infobip")["bare_ids"]:
        if row["group"] in (2, 5):
            found.setdefault(row["name"], set()).add((row["detail"], row["class"]))
    assert [name for name, meant in found.items() if len(meant) > 1] == []


@pytest.mark.parametrize(("name", "table"), CODE_TABLES)
def test_no_code_is_listed_twice(name: str, table: str) -> None:
    rows = tables(name)[table]
    keys = [tuple(row[part] for part in key_of(rows[0])) for row in rows]
    assert len(keys) == len(set(keys))


def test_every_code_that_infobip_publishes_is_decided_on() -> None:
    left = [error["id"] for group in tables("infobip")["left_to_status"] for error in group["errors"]]
    decided = [row["id"] for row in tables("infobip")["errors"]]
    assert len(left + decided) == len(set(left + decided)) == 275
    assert len(tables("infobip")["statuses"]) == 36
