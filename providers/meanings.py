"""The meaning of a provider's statuses. The tables are data: `data/{provider}.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from typing import Any, TypedDict

import orjson
from msgspec import Struct


class StatusFields(TypedDict):
    """The fields of a receipt that describe a message's outcome."""

    status: str
    status_detail: str
    status_class: str
    final: bool


class Meaning(Struct, frozen=True, gc=False):
    """The meaning of a status: its public status and detail, its effect on the contact, whether it is final."""

    status: str
    detail: str
    status_class: str
    final: bool

    def outcome(self) -> StatusFields:
        """Return the receipt's outcome fields."""
        return StatusFields(
            status=self.status, status_detail=self.detail, status_class=self.status_class, final=self.final
        )


def tables(name: str) -> Any:
    """Load the tables of `data/{name}.json`, by name."""
    return orjson.loads(resources.files(__package__).joinpath(f"data/{name}.json").read_bytes())


def meanings(rows: Iterable[Mapping[str, Any]], key: str) -> Mapping[Any, Meaning]:
    """Return the meanings of a table's rows, keyed by this column."""
    return {row[key]: Meaning(row["status"], row["detail"], row["class"], row["final"]) for row in rows}


def faults_of_senders(rows: Iterable[Mapping[str, Any]]) -> Callable[[int], bool]:
    """Whether an unknown code lies in a range of sender faults, which say nothing about the recipient."""
    ranges = [range(row["from"], row["to"] + 1) for row in rows]
    return lambda code: any(code in each for each in ranges)
