"""The records that make Kafka clean a quiet partition are about nobody, for every reader of the topic."""

from __future__ import annotations

import pytest

from bus.memory import Record
from readmodel.rows import RULES, ContactNews, RecordPlace
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from streams.cleaning import KEY
from trackly.commands.tables.command import _rows as rows_of
from trackly.commands.topics.placing import TABLES, of_row

CODEC = Codec(FolderRegistry())


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_is_moved_takes_it_along(table: str) -> None:
    places = of_row(table, KEY, None, (1, 4), 6, CODEC)
    assert places
    assert places <= set(range(6))


def test_a_table_that_is_restored_from_states_gets_no_row_of_it() -> None:
    rows = list(rows_of(Record("sms.contacts", 0, 0, KEY, None), CODEC, 4))
    assert [(value, removed) for _, value, _, removed in rows] == [(None, False)]


def test_the_read_model_deletes_no_contact_by_it() -> None:
    place = RecordPlace("sms.contacts", 0, 7, 1, KEY, None, None)
    assert list(RULES["contacts"].changes(None, place)) == [ContactNews("::", None, None)]
