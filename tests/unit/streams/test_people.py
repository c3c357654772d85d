"""A person with a number and a channel's id: what is known under one name applies to the other."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from accounts.suppression import WHOLE_ACCOUNT
from bus.memory import CODEC
from schemas.ids import contact_key
from schemas.pseudonyms import Pseudonyms
from schemas.records import (
    ContactCommand,
    ContactState,
    InboundMessage,
    ListConfig,
    Record,
    ReplyEvent,
    RestoredEvent,
    UnsubscribeEvent,
)
from streams.normalize import key_of_receipt
from tests.examples import examples
from tests.unit.streams.contact_records import (
    ACCOUNT,
    DELIVERED,
    LIST,
    NUMBER,
    SPAM,
    command,
    inbound,
    message_sent,
    receipt,
)
from tests.unit.streams.contact_stage import CATALOGUE, NOT_REGISTERING, ONE_LIST, PSEUDONYM_KEY, REGISTERING, Stage

USER = "US.13491208655302"
OTHER_LIST = "+18005559999"
TWO_LISTS = (ONE_LIST, ListConfig(account=ACCOUNT, number=OTHER_LIST))


def pumped(stage: Stage, *records: Record) -> list[Record]:
    """Apply records, and the records that streams writes to itself because of them; returns what was sent."""
    told: list[Record] = []
    waiting = list(records)
    while waiting:
        before = len(stage.kafka.sent)
        told += stage.apply(waiting.pop(0))
        waiting += ordered(stage, before)
    return told


def ordered(stage: Stage, since: int) -> list[ContactCommand]:
    """What streams told itself, among what was sent since then."""
    commands = CATALOGUE["commands"].name
    sent = [each.value for each in stage.kafka.sent[since:] if each.topic == commands]
    return [CODEC.decode_as(ContactCommand, value) for value in sent if value is not None]


def by_id(text: str, at: int = 0, **changes: object) -> InboundMessage:
    """A reply that names the id of a WhatsApp user alone, as Twilio writes it."""
    written = replace(inbound(text, at, from_=f"whatsapp:{USER}", id=f"wa-{at}"), user_id=USER)
    return replace(written, **changes)  # type: ignore[arg-type]


def of_both(text: str = "hello", at: int = 0, **changes: object) -> InboundMessage:
    """A reply that names the number and the id."""
    return replace(inbound(text, at, id=f"both-{at}"), user_id=USER, **changes)  # type: ignore[arg-type]


def published(stage: Stage, list_number: str, name: str) -> ContactState | None:
    key = contact_key(ACCOUNT, list_number, name).encode()
    newest = {each.key: each.value for each in stage.kafka.sent if each.topic == CATALOGUE["contacts"].name}
    value = newest.get(key)
    return None if value is None else CODEC.decode_as(ContactState, value)


def of_kind(kind: type[Record] | tuple[type, ...], told: Iterable[Record]) -> list[Record]:
    return [each for each in told if isinstance(each, kind)]


def test_until_the_number_is_known_the_id_alone_is_removed() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    pumped(stage, by_id("STOP"))
    assert not stage.may_be_texted(USER)
    assert stage.may_be_texted(NUMBER)


def test_a_stop_that_named_the_id_removes_the_number_once_a_callback_names_both() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    pumped(stage, by_id("STOP"))
    (event,) = of_kind(UnsubscribeEvent, pumped(stage, of_both(at=1)))
    assert isinstance(event, UnsubscribeEvent)
    assert (event.phone_number, event.list_number, event.reason) == (NUMBER, LIST, "message")
    assert not stage.may_be_texted(NUMBER)
    assert not stage.may_be_texted(USER)


def test_a_stop_that_names_the_id_removes_the_number_that_was_known_before() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    pumped(stage, of_both())
    told = pumped(stage, by_id("STOP", 1))
    assert [event.phone_number for event in told if isinstance(event, UnsubscribeEvent)] == [NUMBER]
    assert [event.keyword for event in told if isinstance(event, UnsubscribeEvent)] == ["STOP"]
    assert not stage.may_be_texted(NUMBER)
    assert not stage.may_be_texted(USER)


def test_a_report_may_name_both_and_an_opt_out_to_no_list_removes_from_every_one() -> None:
    stage = Stage(NOT_REGISTERING, *TWO_LISTS)
    pumped(stage, by_id("STOP", to="+18885550100"))
    pumped(stage, replace(receipt("m-1", DELIVERED, 1), user_id=USER))
    for name in (NUMBER, USER):
        assert not stage.may_be_texted(name)
        assert not stage.may_be_texted(name, OTHER_LIST)
    assert stage.contact(NUMBER, WHOLE_ACCOUNT).stops == ("+18885550100",)


def test_a_start_under_either_name_brings_the_person_back() -> None:
    for start in (by_id("START", 2), inbound("START", 2, id="sms-2")):
        stage = Stage(NOT_REGISTERING, ONE_LIST)
        pumped(stage, by_id("STOP"), of_both(at=1))
        told = pumped(stage, start)
        assert [event.phone_number for event in told if isinstance(event, RestoredEvent)] == [NUMBER]
        assert stage.may_be_texted(NUMBER)
        assert stage.may_be_texted(USER)


def test_an_operator_s_order_about_the_id_is_one_about_the_number() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    pumped(stage, of_both())
    pumped(stage, command("remove", 1, phone_number=USER))
    assert not stage.may_be_texted(NUMBER)
    pumped(stage, command("restore", 2, phone_number=USER))
    assert stage.may_be_texted(NUMBER)
    assert stage.may_be_texted(USER)


def test_a_reply_under_the_id_is_told_with_the_number() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    pumped(stage, of_both())
    (reply,) = of_kind(ReplyEvent, pumped(stage, by_id("hello again", 1)))
    assert isinstance(reply, ReplyEvent)
    assert (reply.phone_number, reply.body) == (NUMBER, "hello again")


def test_a_report_that_names_the_id_alone_meets_its_message_under_the_number() -> None:
    stage = Stage(REGISTERING, ONE_LIST)
    pumped(stage, of_both(), message_sent("m-1"))
    report = replace(receipt("m-1", SPAM, 1, to=None, from_=None), user_id=USER)
    assert key_of_receipt(report) == f"{ACCOUNT}:{USER}".encode()
    pumped(stage, report)
    assert stage.contact(NUMBER).reason == "complaint"


def test_nothing_is_told_again_when_the_same_pair_comes_again() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    assert len(of_kind(ContactCommand, pumped(stage, of_both()))) == 1
    assert not of_kind(ContactCommand, pumped(stage, of_both(at=1), replace(receipt("m", DELIVERED, 2), user_id=USER)))


def test_a_number_without_an_id_has_no_row_for_it() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    assert not of_kind(ContactCommand, pumped(stage, inbound("hello")))
    assert stage.contact(NUMBER, WHOLE_ACCOUNT).names == ()


RECORDS: dict[str, Record] = {
    "stop by the id": by_id("STOP"),
    "a reply of both": of_both(at=1),
    "a report of both": replace(receipt("m-1", DELIVERED, 2), user_id=USER),
    "a complaint by the id": replace(receipt("m-2", SPAM, 3, to=None), user_id=USER),
}


@given(
    order=st.permutations(list(RECORDS)),
    again=st.lists(st.sampled_from(list(RECORDS)), max_size=3),
    crashes=st.lists(st.booleans(), min_size=40, max_size=40),
    lists=st.sampled_from([(ONE_LIST,), TWO_LISTS, ()]),
)
@settings(max_examples=examples(60), deadline=None)
def test_whatever_comes_first_and_wherever_a_worker_is_killed_both_names_are_removed(
    order: list[str], again: list[str], crashes: list[bool], lists: tuple[ListConfig, ...]
) -> None:
    stage = Stage(NOT_REGISTERING, *lists)
    waiting, killed = [RECORDS[name] for name in (*order, *again)], iter(crashes)
    removed = False
    while waiting:
        record = waiting.pop(0)
        if next(killed, False):
            # Its events and orders are out, its rows are not: it comes again.
            waiting += [each for each in stage.crash_on(record, "contacts") if isinstance(each, ContactCommand)]
        waiting += [each for each in stage.apply(record) if isinstance(each, ContactCommand)]
        # From the first opt-out on, the id is never free.
        removed = removed or record in (RECORDS["stop by the id"], RECORDS["a complaint by the id"])
        on_its_way = any(isinstance(each, ContactCommand) and each.command == "pass_on" for each in waiting)
        assert not removed or on_its_way or not stage.may_be_texted(USER)
    stage.lose_disk()
    for listed in (LIST,) if lists else (LIST, OTHER_LIST):
        assert not stage.may_be_texted(NUMBER, listed)
        assert not stage.may_be_texted(USER, listed)


@pytest.mark.parametrize("name", [NUMBER, USER])
def test_an_erasure_under_either_name_finds_both_and_leaves_both_removed(name: str) -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    pumped(stage, of_both(), by_id("STOP", 1))
    for listed in (LIST, ""):
        told = pumped(stage, command("erase", 10, phone_number=name, list_number=listed))
        assert not of_kind(UnsubscribeEvent, told)
    assert not stage.holds(USER)
    assert not stage.holds(NUMBER)
    pseudonyms = Pseudonyms(PSEUDONYM_KEY)
    for each in (NUMBER, USER):
        assert not stage.state(pseudonyms.of(ACCOUNT, each)).active
        assert published(stage, LIST, each) is None
        assert published(stage, WHOLE_ACCOUNT, each) is None


def test_an_erasure_of_a_person_who_is_texted_leaves_nobody_removed() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    pumped(stage, of_both())
    for listed in (LIST, ""):
        pumped(stage, command("erase", 10, phone_number=NUMBER, list_number=listed))
    assert stage.may_be_texted(NUMBER)
    assert stage.may_be_texted(USER)
    assert not stage.holds(USER)


def test_the_number_that_an_id_goes_by_is_published_again_after_a_takeover() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    pumped(stage, of_both())
    stage.tick(seconds=100)
    whole = published(stage, WHOLE_ACCOUNT, USER)
    assert whole is not None
    assert whole.known_as == NUMBER
