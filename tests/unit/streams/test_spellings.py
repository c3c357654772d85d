"""A contact is found by every spelling of its number."""

from __future__ import annotations

import pytest

from schemas.records import ContactState, Record, RejectedRecord, ReplyEvent, UnsubscribeEvent
from streams.normalize import key_of_receipt
from streams.row import ContactRow, to_bytes
from tests.unit.streams.contact_records import ACCOUNT, DELIVERED, LIST, command, inbound, message_sent, receipt
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, REGISTERING, Stage

SPELLINGS = [
    ("+525512345678", "+5215512345678"),
    ("+541123456789", "+5491123456789"),
    ("+5531987654321", "+553187654321"),
    ("+2290197123456", "+22997123456"),
    ("+447400123456", "+4407400123456"),
]


@pytest.mark.parametrize(("canonical", "received"), SPELLINGS)
def test_a_stop_in_another_spelling_leaves_no_contact_active(canonical: str, received: str) -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    events = stage.apply(inbound("STOP", 1, from_=received))
    (state,) = [event for event in events if isinstance(event, ContactState)]
    assert (state.phone_number, state.active) == (canonical, False)
    assert not stage.contact(canonical).active


@pytest.mark.parametrize(("canonical", "received"), SPELLINGS)
def test_the_event_has_the_number_as_it_was_received(canonical: str, received: str) -> None:
    events = Stage(NOT_REGISTERING, ONE_LIST).apply(
        inbound("STOP", 1, from_=received), inbound("hi", 2, from_=received)
    )
    told = {event.phone_number for event in events if isinstance(event, UnsubscribeEvent | ReplyEvent)}
    assert told == {received}


@pytest.mark.parametrize(("canonical", "received"), SPELLINGS)
def test_reports_meet_a_message_that_was_registered_in_another_spelling(canonical: str, received: str) -> None:
    assert key_of_receipt(receipt("m1", DELIVERED, 1, to=received)) == f"{ACCOUNT}:{canonical}".encode()


def test_a_registration_under_a_key_of_another_spelling_goes_on_to_the_partition_of_its_recipient() -> None:
    stage = Stage(REGISTERING, ONE_LIST)
    message = message_sent("m1", to="+5215512345678")
    assert stage.apply_under(f"{ACCOUNT}:+5215512345678".encode(), message) == [message]
    assert stage.kafka.sent[-1].key == f"{ACCOUNT}:+525512345678".encode()


class TestDrop:
    """An order to drop what stands under an old spelling: for rows from before the spelling was known."""

    OLD, CANONICAL = "+5215512345678", "+525512345678"

    def stage(self) -> Stage:
        stage = Stage(NOT_REGISTERING, ONE_LIST)
        stage.apply(command("remove", 1, phone_number=self.CANONICAL))
        row = to_bytes(ContactRow(active=False, reason="message", since=1))
        stage.write_over(f"{ACCOUNT}:{LIST}:{self.OLD}".encode(), 1, row)
        stage.lose_disk()
        return stage

    def drop(self, stage: Stage, number: str) -> list[Record]:
        return stage.apply_under(f"{ACCOUNT}:{number}".encode(), command("drop", 2, phone_number=number))

    def test_takes_the_row_and_the_state_under_the_old_spelling_away(self) -> None:
        stage = self.stage()
        assert not stage.contact(self.OLD).active
        assert self.drop(stage, self.OLD) == []
        assert stage.contact(self.OLD) == ContactRow(since=0)

    def test_touches_nothing_else(self) -> None:
        stage = self.stage()
        self.drop(stage, self.OLD)
        assert not stage.contact(self.CANONICAL).active

    def test_of_a_canonical_spelling_is_rejected(self) -> None:
        stage = self.stage()
        (rejected,) = self.drop(stage, self.CANONICAL)
        assert isinstance(rejected, RejectedRecord)
        assert not stage.contact(self.CANONICAL).active
