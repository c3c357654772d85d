"""A law: an erasure forgets the person, not the wish to be left alone, in whatever order and however often records
come."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import AccountConfig, ContactCommand, Record
from tests.examples import examples
from tests.unit.streams.contact_records import NUMBER, command
from tests.unit.streams.contact_stage import NOT_REGISTERING, REGISTERING
from tests.unit.streams.test_newest_wish import DEAD, GIVEN_UP, LISTS, Said, histories, must_be_out, stage_of


def erasure(at: int) -> list[Record]:
    """The commands that erase the number: one for each list, and one for the account."""
    orders = [command("erase", at, list_number=each) for each in (*LISTS, "")]
    return [replace(order, event_id=f"{order.event_id}_{order.list_number}") for order in orders]


@settings(max_examples=examples(900, 200), deadline=None)
@given(histories(), st.booleans(), st.sampled_from([NOT_REGISTERING, REGISTERING]), st.data())
def test_whoever_wished_last_to_be_left_alone_is_out_though_erased(
    history: list[Said], is_account_wide: bool, account: AccountConfig, data: st.DataObject
) -> None:
    stage = stage_of(account, is_account_wide=is_account_wide)
    times = st.sampled_from([each.at + shift for each in history for shift in (-1, 0, 1)])
    erasures = [erasure(at) for at in data.draw(st.lists(times, min_size=1, max_size=2, unique=True))]
    arrivals = data.draw(st.permutations([*erasures, *([each.record] for each in history)]))
    again = data.draw(st.lists(st.sampled_from(history), max_size=3))
    repeated = [each.record for each in again if not isinstance(each.record, ContactCommand)]
    for records in [*arrivals, repeated]:
        stage.apply(*records)
    # That a number was dead, or another's, is no wish: once it is erased and has come back, it may be somebody else's.
    wishes = [each for each in history if each.what not in (DEAD, GIVEN_UP)]
    for listed in LISTS:
        if must_be_out(wishes, listed, is_account_wide=is_account_wide):
            assert not stage.may_be_texted(NUMBER, listed)
