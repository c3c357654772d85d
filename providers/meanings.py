"""What a provider's statuses mean here. The tables are data: `data/{provider}.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypedDict

import orjson


class StatusFields(TypedDict):
    """The fields of a receipt that say what became of the message."""

    status: str
    status_detail: str
    status_class: str
    final: bool


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a status means: public status and detail, what it does to the contact, whether it is the last word."""

    status: str
    detail: str
    status_class: str
    final: bool

    def outcome(self) -> StatusFields:
        """The fields of a receipt."""
        return StatusFields(
            status=self.status, status_detail=self.detail, status_class=self.status_class, final=self.final
        )


def tables(name: str) -> Any:
    """The tables of `data/{name}.json`, by name."""
    return orjson.loads(resources.files(__package__).joinpath(f"data/{name}.json").read_bytes())


def meanings(rows: Iterable[Mapping[str, Any]], key: str) -> Mapping[Any, Meaning]:
    """Meanings of the rows of a table by this column."""
    return {row[key]: Meaning(row["status"], row["detail"], row["class"], row["final"]) for row in rows}


def faults_of_senders(rows: Iterable[Mapping[str, Any]]) -> Callable[[int], bool]:
    """Whether an unknown code lies in one of these ranges: those say nothing about the recipient, whatever is new."""
    ranges = [range(row["from"], row["to"] + 1) for row in rows]
    return lambda code: any(code in each for each in ranges)
