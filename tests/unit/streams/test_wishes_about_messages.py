"""A law: an opt-out counts for the list of the message that it is about, whether that is registered before or after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import AccountConfig, ContactCommand, Receipt, Record
from tests.examples import examples
from tests.unit.streams.contact_records import (
    DELIVERED,
    LIST,
    NUMBER,
    SPAM,
    UNSUBSCRIBED,
    command,
    inbound,
    message_sent,
    receipt,
)
from tests.unit.streams.contact_stage import NOT_REGISTERING, REGISTERING
from tests.unit.streams.test_newest_wish import (
    COMPLAINT,
    LISTS,
    NOTHING,
    OPT_OUT,
    RECEIVERS,
    RESTORE,
    START,
    stage_of,
)

MESSAGES = ("m0", "m1")


class Said(NamedTuple):
    """A record, what it says, when, to which receiver, and about which message."""

    what: str
    at: int
    to: str | None
    message: str | None
    record: Record


class History(NamedTuple):
    """What a contact said, oldest first, and the list of each message that the sender registers."""

    said: list[Said]
    registered: Mapping[str, str]


@st.composite
def histories(draw: st.DrawFn) -> History:
    senders = {each: draw(st.sampled_from(RECEIVERS)) for each in MESSAGES}
    said: list[Said] = []
    at = 1_000
    for nth in range(draw(st.integers(1, 6))):
        at += draw(st.sampled_from([0, 1, 1_000]))
        to, answered = draw(st.sampled_from(RECEIVERS)), draw(st.sampled_from([*MESSAGES, None]))
        reply = replace(inbound(None, at, id=f"SM{nth}", to=to, received_at=at), in_reply_to=answered)
        about = answered or MESSAGES[0]
        sender = senders[about]
        fields = {"received_at": at, "from_": sender, "provider": "twilio"}
        said.append(
            draw(
                st.sampled_from(
                    [
                        Said(OPT_OUT, at, to, answered, replace(reply, text="STOP")),
                        Said(COMPLAINT, at, to, answered, replace(reply, text="this is spam")),
                        Said(OPT_OUT, at, sender, about, receipt(about, UNSUBSCRIBED, at, **fields)),
                        Said(COMPLAINT, at, sender, about, receipt(about, SPAM, at, **fields)),
                        Said(NOTHING, at, sender, about, receipt(about, DELIVERED, at, **fields)),
                        Said(START, at, to, answered, replace(reply, text="START")),
                        Said(RESTORE, at, LIST, None, command("restore", at)),
                        Said(NOTHING, at, to, answered, replace(reply, text="Is Saturday fine?")),
                    ]
                )
            )
        )
    registered = draw(st.dictionaries(st.sampled_from(MESSAGES), st.sampled_from(LISTS)))
    return History(said, registered)


def meant(said: Said, registered: Mapping[str, str]) -> set[str]:
    """Return the lists that an opt-out may mean."""
    of_message = registered.get(said.message or "")
    if of_message is None:
        return {said.to} if said.to in LISTS else set(LISTS)
    return {of_message, said.to} if said.to in LISTS and not isinstance(said.record, Receipt) else {of_message}


def must_be_out(history: History, listed: str, *, is_account_wide: bool) -> bool:
    """Whether the contact asked last, or for good, not to be texted from a list."""
    restored = max((each.at for each in history.said if each.what == RESTORE and listed == LIST), default=0)
    back = max(restored, *(each.at for each in history.said if each.what == START), 0)
    out = 0
    reported: set[tuple[str, str | None]] = set()
    for each in history.said:
        # A message's reports of the same wish are one wish.
        is_known = isinstance(each.record, Receipt) and (each.what, each.message) in reported
        if each.what not in (OPT_OUT, COMPLAINT) or is_known:
            continue
        if isinstance(each.record, Receipt):
            reported.add((each.what, each.message))
        if is_account_wide or listed in meant(each, history.registered):
            if each.what == COMPLAINT and each.at > restored:
                return True
            out = max(out, each.at)
    return out >= back > restored or out > back


@settings(max_examples=examples(900, 200), deadline=None)
@given(histories(), st.booleans(), st.sampled_from([NOT_REGISTERING, REGISTERING]), st.data())
def test_whoever_wished_last_to_be_left_alone_is_out_of_the_message_s_list(
    history: History, is_account_wide: bool, account: AccountConfig, data: st.DataObject
) -> None:
    stage = stage_of(account, is_account_wide=is_account_wide)
    records: list[Record] = [each.record for each in history.said]
    for name, listed in history.registered.items():
        records.append(message_sent(name, f"own-{name}", listed, provider="twilio"))
    again = data.draw(st.lists(st.sampled_from(records), max_size=3))
    for record in [*data.draw(st.permutations(records)), *(e for e in again if not isinstance(e, ContactCommand))]:
        stage.apply(record)
        if data.draw(st.integers(0, 5)) == 0:
            stage.tick(100)
    stage.tick(600)
    for listed in LISTS:
        if must_be_out(history, listed, is_account_wide=is_account_wide):
            assert not stage.may_be_texted(NUMBER, listed)
