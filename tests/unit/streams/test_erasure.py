"""What remains of a contact after an erasure."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bus.memory import CODEC
from schemas.ids import contact_key, recipient_key
from schemas.pseudonyms import PREFIX, Pseudonyms
from schemas.topics import Catalogue
from streams.erasure import erased
from streams.row import ContactRow, Counted
from tests.unit.streams.contact_records import ACCOUNT, LIST, NUMBER, SENT, START_OF_DAY, command, message_sent, receipt
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, REGISTERING, Stage

PSEUDONYMS = Pseudonyms("a secret of the tests")
PSEUDONYM = PSEUDONYMS.of(ACCOUNT, NUMBER)
CONTACT, SUPPRESSED = contact_key(ACCOUNT, LIST, NUMBER), contact_key(ACCOUNT, LIST, PSEUDONYM)
MESSAGE = Counted("infobip:m-1", 5, True)
REMOVED = ContactRow(
    active=False, reason="message", since=7, counted_from=3, removed_at=7, counted=(MESSAGE,), inbound=("SM1",)
)


def test_a_removed_contact_stays_removed_under_its_pseudonym_and_loses_what_leads_to_it() -> None:
    erasure = erased(REMOVED, command("erase"), PSEUDONYM, START_OF_DAY)
    suppression = ContactRow(active=False, reason="message", since=7, counted_from=3, removed_at=7)
    assert erasure.rows == {CONTACT: None, SUPPRESSED: suppression}
    assert list(erasure.states) == [CONTACT, SUPPRESSED]
    state = erasure.states[SUPPRESSED]
    assert erasure.states[CONTACT] is None
    assert state is not None
    assert (state.active, state.reason, state.since, state.phone_number) == (False, "message", 7, PSEUDONYM)
    assert NUMBER not in str(state)


def test_an_active_contact_leaves_nothing_not_even_what_an_earlier_erasure_left() -> None:
    erasure = erased(ContactRow(since=7), command("erase"), PSEUDONYM, START_OF_DAY)
    assert erasure.rows == erasure.states == {CONTACT: None, SUPPRESSED: None}


def test_an_order_that_comes_twice_does_not_lift_the_suppression() -> None:
    erasure = erased(None, command("erase"), PSEUDONYM, START_OF_DAY)
    assert erasure.rows == erasure.states == {CONTACT: None}


def test_what_is_known_on_no_list_goes_and_leaves_the_time() -> None:
    erasure = erased(ContactRow(since=1), replace(command("erase"), list_number=""), PSEUDONYM, START_OF_DAY)
    mark = ContactRow(since=START_OF_DAY, erased_at=START_OF_DAY)
    assert erasure.rows == {contact_key(ACCOUNT, "", NUMBER): None, contact_key(ACCOUNT, "", PSEUDONYM): mark}
    assert erasure.states == {}


def test_a_number_that_was_out_for_the_whole_account_stays_so_under_the_pseudonym() -> None:
    row = replace(REMOVED, stops=("acme_agent",), except_lists=(LIST,), opted_out=True)
    erasure = erased(row, replace(command("erase"), list_number=""), PSEUDONYM, START_OF_DAY)
    assert erasure.rows[contact_key(ACCOUNT, "", NUMBER)] is None
    left = erasure.rows[contact_key(ACCOUNT, "", PSEUDONYM)]
    assert left is not None
    assert left.erased_at == START_OF_DAY
    assert (left.stops, left.except_lists, left.opted_out) == (("acme_agent",), (LIST,), True)
    state = erasure.states[contact_key(ACCOUNT, "", PSEUDONYM)]
    assert state is not None
    assert (state.active, state.scope, state.except_lists) == (False, "account", (LIST,))


# Messages

ERASE_THE_REST = command("erase", list_number="")


def test_registered_messages_of_an_erased_number_go_and_those_of_another_stay() -> None:
    stage = Stage(REGISTERING, ONE_LIST)
    stage.apply(message_sent("m-1"), message_sent("m-2"), message_sent("m-3", to=NUMBER + "0"))
    stage.apply(command("erase"), ERASE_THE_REST)
    left = stage.holds(NUMBER)
    assert left
    assert all((NUMBER + "0").encode() in each for each in left)


def test_reports_that_wait_for_their_message_go_too_and_are_never_told() -> None:
    stage = Stage(REGISTERING, ONE_LIST)
    stage.apply(receipt("m-1", SENT, 0))
    stage.apply(command("erase"), ERASE_THE_REST)
    assert stage.holds(NUMBER) == []
    assert stage.tick(120) == []


def test_an_order_about_one_list_leaves_the_messages() -> None:
    stage = Stage(REGISTERING, ONE_LIST)
    stage.apply(message_sent("m-1"))
    stage.apply(command("erase"))
    assert stage.holds(NUMBER)


def test_what_was_given_of_the_number_s_place_goes() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(command("erase"), ERASE_THE_REST)
    (gone,) = [record for record in stage.kafka.sent if record.topic == "sms.contacts.places"]
    assert (gone.key, gone.value) == (recipient_key(ACCOUNT, NUMBER), None)


def test_the_order_goes_on_to_every_partition_of_links() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.kafka.catalogue = Catalogue(partitions=3)
    stage.apply(ERASE_THE_REST)
    orders = [record for record in stage.kafka.sent if record.topic == "sms.links"]
    assert [order.partition for order in orders] == [0, 1, 2]
    assert {CODEC.decode(order.value) for order in orders} == {ERASE_THE_REST}


# Pseudonyms


def test_a_pseudonym_is_the_same_for_the_same_number_of_an_account_and_no_number() -> None:
    assert PSEUDONYMS.of(ACCOUNT, NUMBER) == PSEUDONYM
    assert PSEUDONYM.startswith(PREFIX)
    assert len(PSEUDONYM) == len(PREFIX) + 26


@pytest.mark.parametrize(
    "other",
    [
        PSEUDONYMS.of("other", NUMBER),
        PSEUDONYMS.of(ACCOUNT, NUMBER + "0"),
        Pseudonyms("another secret of the tests").of(ACCOUNT, NUMBER),
    ],
)
def test_another_number_account_or_secret_gives_another(other: str) -> None:
    assert other != PSEUDONYM
