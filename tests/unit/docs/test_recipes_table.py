"""The table of docs/recipes/README.md has the results of the runs, with the versions that the recipes pin."""

from __future__ import annotations

from tests.outside.readers.clients import READERS
from tests.outside.readers.table import PAGE, sightings, with_table


def test_the_table_is_that_of_the_last_runs() -> None:
    page = PAGE.read_text("utf-8")
    assert with_table(page, sightings()) == page


def test_every_client_was_seen_in_the_version_that_its_recipe_pins() -> None:
    assert {name: each["version"] for name, each in sightings().items()} == {r.name: r.version for r in READERS}
