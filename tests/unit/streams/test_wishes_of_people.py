"""A law: a wish to be left alone that comes under one name of a person counts under the other, whichever came first,
and however long streams takes to tell itself."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import AccountConfig, ContactCommand, InboundMessage, Receipt, Record
from tests.examples import examples
from tests.unit.streams.contact_records import LIST, NUMBER, inbound
from tests.unit.streams.contact_stage import NOT_REGISTERING, REGISTERING
from tests.unit.streams.test_newest_wish import LISTS, NOTHING, Said, histories, must_be_out, stage_of
from tests.unit.streams.test_people import USER, ordered

BY_NUMBER, BY_ID, BY_BOTH = "by number", "by id", "by both"


def named(record: Record, how: str) -> Record:
    """Return the record as one that names the person like this."""
    match record:
        case ContactCommand():
            return record if how == BY_NUMBER else replace(record, phone_number=USER, event_id=f"{record.event_id}_id")
        case Receipt() | InboundMessage() if how == BY_BOTH:
            return replace(record, user_id=USER)
        case Receipt() if how == BY_ID:
            return replace(record, to=None, user_id=USER)
        case InboundMessage() if how == BY_ID:
            return replace(record, from_=f"whatsapp:{USER}", user_id=USER)
        case _:
            return record


@st.composite
def histories_of_people(draw: st.DrawFn) -> list[Said]:
    """What happens to one person, under either name; at least one record has both."""
    said = [
        each._replace(record=named(each.record, draw(st.sampled_from([BY_NUMBER, BY_ID, BY_BOTH]))))
        for each in draw(histories())
    ]
    at = draw(st.sampled_from([each.at for each in said]))
    both = named(inbound("Is Sunday fine, too?", at, id="both", received_at=at), BY_BOTH)
    return [*said, Said(NOTHING, at, LIST, both)]


@settings(max_examples=examples(600, 150), deadline=None)
@given(histories_of_people(), st.booleans(), st.sampled_from([NOT_REGISTERING, REGISTERING]), st.data())
def test_whoever_wished_last_to_be_left_alone_is_out_under_both_names(
    history: list[Said], is_account_wide: bool, account: AccountConfig, data: st.DataObject
) -> None:
    stage = stage_of(account, is_account_wide=is_account_wide)
    on_their_way: deque[Record] = deque()

    def apply(record: Record) -> None:
        before = len(stage.kafka.sent)
        stage.apply(record)
        on_their_way.extend(ordered(stage, before))

    for said in data.draw(st.permutations(history)):
        apply(said.record)
        for _ in range(min(data.draw(st.integers(0, 3)), len(on_their_way))):
            apply(on_their_way.popleft())
    while on_their_way:
        apply(on_their_way.popleft())
    for listed in LISTS:
        if must_be_out(history, listed, is_account_wide=is_account_wide):
            assert not stage.may_be_texted(NUMBER, listed)
            assert not stage.may_be_texted(USER, listed)
