"""The clients of docs/recipes, installed as described there, on every public topic of a real broker."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.outside.readers.clients import READERS, NotInstalled, Reader, installed, read
from tests.outside.readers.house import House, house
from tests.outside.readers.records import COLUMNS, seen

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def there(broker: str) -> Iterator[House]:
    with house(broker) as made:
        yield made


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_client_reads_every_public_topic_as_its_recipe_says(reader: Reader, there: House) -> None:
    try:
        place = installed(reader, may_be_heavy="TRACKLY_READERS" in os.environ)
    except NotInstalled as error:
        pytest.skip(f"{reader.name} was NOT run: {error}")
    environment = {**there.environment, "GROUP": secrets.token_hex(6)}
    topics = dict.fromkeys(record.topic for record in there.records)
    lines = read(reader, place, environment, len(there.records), *topics)
    assert seen(lines, there.records) == dict.fromkeys(COLUMNS, "yes")
