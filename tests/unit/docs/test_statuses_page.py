"""The page about statuses says what senders must write."""

from __future__ import annotations

import re
from pathlib import Path

from schemas.folder_registry import FolderRegistry

PAGE = " ".join(Path("docs/statuses.md").read_text("utf-8").split())


def test_the_page_names_the_schema_and_the_id_of_messages() -> None:
    registry = FolderRegistry()
    found = re.search(r"`MessageSent` records \(\[schema\]\(([^)]+)\), schema id (\d+) in the wire format\)", PAGE)
    assert found is not None
    assert int(found[2]) == registry.id_of("MessageSent")
    version = len(registry.versions["MessageSent"])
    assert found[1] == f"../schemas/avro/message_sent.v{version}.avsc"
