"""The table of docs/recipes/README.md, generated from test runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.outside.readers.clients import RECIPES
from tests.outside.readers.records import COLUMNS

PAGE, SEEN = RECIPES / "README.md", RECIPES / "seen.json"
BEGINS, ENDS = "<!-- seen: begin (python -m tests.outside.readers) -->\n", "<!-- seen: end -->\n"

Sighting = dict[str, Any]
"""A run's results for a client: `language`, `version`, `on` (a date), `codecs` that it reads (none where another client
fetches for it), `seen` by column."""


def sightings() -> dict[str, Sighting]:
    """Return the latest results, by client."""
    known: dict[str, Sighting] = json.loads(SEEN.read_text("utf-8")) if SEEN.exists() else {}
    return known


def with_table(page: str, known: Mapping[str, Sighting]) -> str:
    """Return the page with these results. Raises ValueError if it has no place for them."""
    before, rest = page.split(BEGINS)
    _, after = rest.split(ENDS)
    return f"{before}{BEGINS}\n{_table(known)}\n{ENDS}{after}"


def _table(known: Mapping[str, Sighting]) -> str:
    head = ("client", "version", "compressions", *COLUMNS, "seen on")
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for name, each in known.items():
        cells = [each["seen"][column] for column in COLUMNS]
        row = (f"{name} ({each['language']})", each["version"], ", ".join(each["codecs"]) or "–", *cells, each["on"])
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"
