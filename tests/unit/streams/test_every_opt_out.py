"""A law for all providers: after an opt-out, nobody is texted from a list that it may have meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from providers import PROVIDERS
from schemas.records import InboundMessage, ListConfig, Receipt
from tests.examples import examples
from tests.unit.streams.contact_stage import NOT_REGISTERING, REGISTERING, Stage
from tests.unit.streams.test_opt_out_shapes import REMOVING, posted
from tests.unit.streams.test_people import pumped

LISTS = ["+18885550100", "+18885550101", "72345"]
LATER = "+18885550109"


@st.composite
def accounts(draw: st.DrawFn, named: list[str]) -> list[ListConfig]:
    """The lists of an account, some of which send from what an opt-out names."""
    numbers = draw(st.lists(st.sampled_from(LISTS), unique=True))
    configs = [ListConfig(account="acme", number=number) for number in numbers]
    for name in dict.fromkeys(named):
        if configs and name not in numbers and draw(st.booleans()):
            owner = draw(st.integers(0, len(configs) - 1))
            configs[owner] = replace(configs[owner], senders=(*configs[owner].senders, name))
    return configs


def named_by(item: Any) -> list[str]:
    """What an item says of our side."""
    if isinstance(item, Receipt):
        return [item.from_] if item.from_ else []
    return [each for each in (item.list_number, item.to) if each]


def may_have_meant(named: list[str], configs: list[ListConfig]) -> set[str]:
    """Every list, unless what is named belongs to one."""
    owners = {each.number for each in configs for name in named if name in (each.number, *each.senders)}
    return owners or {*(each.number for each in configs), LATER}


@pytest.mark.parametrize("shape", REMOVING, ids=[f"{e['provider']} {e['channel']} {e['shape']}" for e in REMOVING])
@settings(max_examples=examples(40))
@given(data=st.data())
def test_after_an_opt_out_nobody_is_texted_from_a_list_that_it_may_have_meant(
    shape: Mapping[str, str], data: st.DataObject
) -> None:
    items = [
        each for each in PROVIDERS[shape["provider"]].read(posted(shape)) if isinstance(each, Receipt | InboundMessage)
    ]
    assert items
    configs = data.draw(accounts([name for item in items for name in named_by(item)]))
    stage = Stage(data.draw(st.sampled_from([REGISTERING, NOT_REGISTERING])), *configs)
    # Whatever was read before, and whatever is read again, in whatever order.
    stage.apply(*data.draw(st.permutations(items)), *data.draw(st.lists(st.sampled_from(items), max_size=2)))
    for item in items:
        number = item.to if isinstance(item, Receipt) else item.from_
        # With one list and nobody named, it is that one; otherwise it may be a later one too.
        meant = may_have_meant(named_by(item), configs) - (set() if named_by(item) or len(configs) != 1 else {LATER})
        for listed in meant:
            assert not stage.state(number or "", listed).active, (listed, configs)


RECEIVERS = {
    "a pool number": "+18005550177",
    "a number in an old spelling": "+5215512345678",
    "a short code": "72345",
    "an RCS agent": "rcs:Acme_Agent",
    "an alphanumeric sender": "AcmeShop",
    "a page of Messenger": "messenger:1234567890",
    "nothing": None,
}
WHOLE = replace(NOT_REGISTERING, opt_out_scope="account")
USER = "US.13491208655302741918"


def to(item: Receipt | InboundMessage, receiver: str | None) -> Receipt | InboundMessage:
    """The same, to or from another address of ours."""
    if isinstance(item, Receipt):
        return replace(item, from_=receiver)
    return replace(item, to=receiver, list_number=None)


def of_nobody_known(item: Receipt | InboundMessage) -> Receipt | InboundMessage:
    """The same, of somebody who hides the number."""
    return (
        replace(item, to=None, user_id=USER) if isinstance(item, Receipt) else replace(item, from_=USER, user_id=USER)
    )


@pytest.mark.parametrize("shape", REMOVING, ids=[f"{e['provider']} {e['channel']} {e['shape']}" for e in REMOVING])
@settings(max_examples=examples(24), deadline=None)
@given(data=st.data())
def test_whatever_it_goes_to_and_whoever_hides_the_number_nobody_is_texted_from_a_list_that_may_be_meant(
    shape: Mapping[str, str], data: st.DataObject
) -> None:
    """Of accounts of either scope, from lists that are made before and after, under the number and under the id."""
    receiver = data.draw(st.sampled_from(list(RECEIVERS)).map(RECEIVERS.__getitem__), label="receiver")
    opt_outs = [
        to(each, receiver)
        for each in PROVIDERS[shape["provider"]].read(posted(shape))
        if isinstance(each, Receipt | InboundMessage)
    ]
    number = next(each.to if isinstance(each, Receipt) else each.from_ for each in opt_outs) or ""
    named = [] if receiver is None else [receiver]
    configs = data.draw(accounts(named), label="lists")
    account = data.draw(st.sampled_from([REGISTERING, NOT_REGISTERING, WHOLE]), label="account")
    stage = Stage(account, *configs)
    hides = data.draw(st.booleans(), label="hides the number")
    if hides:
        first, *_ = opt_outs
        of_both = replace(first, event_id="evt_both", provider_message_id="both", user_id=USER)
        of_both = (
            replace(of_both, status_class="delivered", status="delivered")
            if isinstance(of_both, Receipt)
            else replace(of_both, text="hello", kind="reply", keyword=None, opt_out_scope=None)
        )
        records = [*map(of_nobody_known, opt_outs), of_both]
    else:
        records = list(opt_outs)
    pumped(stage, *data.draw(st.permutations(records), label="order"))
    stage.configure(ListConfig(account="acme", number=LATER))
    meant = may_have_meant(named, configs)
    if account is WHOLE and any(reason_is_a_wish(each) for each in opt_outs):
        meant = {*(each.number for each in configs), LATER}
    elif (
        len(configs) == 1
        and not named
        and not any(each.opt_out_scope == "all" for each in opt_outs if isinstance(each, InboundMessage))
    ):
        meant -= {LATER}
    for listed in meant:
        assert not stage.may_be_texted(number, listed), listed
        assert not hides or not stage.may_be_texted(USER, listed), listed


def reason_is_a_wish(item: Receipt | InboundMessage) -> bool:
    """Whether somebody asked for it, to which the scope of the account applies."""
    return isinstance(item, InboundMessage) or item.status_class in ("opt_out", "complaint")
