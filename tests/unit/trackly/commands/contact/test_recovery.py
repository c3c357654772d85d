"""Which of the read model's removals Kafka lacks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from bus.memory import CODEC
from bus.tables.store import MemoryStore
from bus.tables.versions import pack
from schemas.records import ContactState
from tests.read_records import contact
from trackly.commands.contact.recovery import Removal, _may_be_texted, lost

LIST, OTHER, NUMBER = "+18005551234", "+18005559999", "+15551230001"
DECODER: Any = SimpleNamespace(codec=CODEC)


def removal(list_number: str = LIST, reason: str = "message", since: int = 7) -> Removal:
    return Removal("acme", list_number, NUMBER, reason, since)


def on_kafka(list_number: str, active: bool, **changes: Any) -> ContactState:
    state = contact(1, 7, active=active)
    key = f"acme:{list_number}:{NUMBER}"
    return replace(state, contact=key, account="acme", list_number=list_number, phone_number=NUMBER, **changes)


@pytest.mark.parametrize(
    ("known", "is_lost"),
    [
        ([], True),
        ([on_kafka(LIST, active=True)], True),
        ([on_kafka(LIST, active=False)], False),
        ([on_kafka(LIST, active=False, held=True)], True),
        ([on_kafka("", active=False)], False),
        ([on_kafka("", active=False, except_lists=(LIST,))], True),
        ([on_kafka(OTHER, active=False)], True),
    ],
)
def test_a_removal_is_lost_if_kafka_would_let_the_contact_be_texted(known: list[ContactState], is_lost: bool) -> None:
    store = MemoryStore()
    store.write({each.contact.encode(): pack(1, CODEC.encode(each)) for each in known}, None)
    assert list(lost([removal()], lambda each: _may_be_texted(DECODER, store, each))) == [removal()] * is_lost


def test_a_removal_from_every_list_is_recovered_once() -> None:
    stored = [removal(""), removal(LIST), removal(OTHER)]
    assert list(lost(stored, lambda each: True)) == [removal("")]


def test_a_list_that_had_removed_the_contact_itself_removes_it_again() -> None:
    stored = [removal(""), removal(LIST, "complaint", 5), removal(OTHER)]
    assert list(lost(stored, lambda each: True)) == [removal(""), removal(LIST, "complaint", 5)]
