"""No sink is forgotten: it is started, and Kafka lets it read its topics."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sinks
from accounts.model import Accounts
from bus.health import Health
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.records import Record
from schemas.topics import Catalogue
from sinks.app import SINKS
from sinks.consumer import SinkParts
from sinks.settings import SinksSettings
from tests.clock import MovedClock
from tests.unit.sinks.sink_parts import Receiver

ROOT = Path(sinks.__file__).parents[1]


async def nothing(topic: str, record: Record, key: str, event_id: str, at: int) -> None:
    pass


def parts() -> SinkParts:
    return SinkParts(
        SinksSettings(),
        Accounts(),
        [],
        Codec(FolderRegistry()),
        Receiver().post,
        nothing,
        MovedClock(),
        Health(service="sinks"),
    )


def has_sink(path: Path) -> bool:
    tree = ast.parse(path.read_text("utf-8"))
    return any(isinstance(each, ast.FunctionDef) and each.name == "sink" for each in tree.body)


def test_every_file_with_a_sink_is_in_the_list_of_sinks() -> None:
    found = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "sinks").rglob("*.py")
        if has_sink(path)
    }
    assert {make.__module__ for make in SINKS.values()} == found


@pytest.mark.parametrize("name", SINKS)
def test_the_catalog_names_sinks_among_the_readers_of_every_topic_of_a_sink(name: str) -> None:
    catalogue = Catalogue()
    unread = [topic for topic in SINKS[name](parts()).topics if "sinks" not in catalogue[topic].read_by]
    assert unread == [], "add sinks to `read_by` in schemas/topics.toml, or the ACLs keep it out"
