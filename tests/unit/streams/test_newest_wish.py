"""A law: in whatever order and however often records come, whoever wished last to be left alone is out of every list
that may have been meant."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import AccountConfig, ContactCommand, ListConfig, Record
from tests.examples import examples
from tests.unit.streams.contact_records import (
    ACCOUNT,
    LIST,
    NUMBER,
    SPAM,
    UNKNOWN_NUMBER,
    UNSUBSCRIBED,
    command,
    inbound,
    receipt,
)
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, REGISTERING, Stage

OTHER = "+18005559999"
LISTS = (LIST, OTHER)
RECEIVERS = [LIST, LIST, OTHER, "+18885550199", None]

OPT_OUT, COMPLAINT, DEAD, GIVEN_UP, START, RESTORE, NOTHING = (
    "opt-out", "complaint", "dead", "given up", "START", "restore", "nothing",
)  # fmt: skip
LASTING = (COMPLAINT, DEAD)
"""What no START undoes."""


class Said(NamedTuple):
    """A record, what it says, when, and to which receiver."""

    what: str
    at: int
    to: str | None
    record: Record


@st.composite
def histories(draw: st.DrawFn) -> list[Said]:
    """What happens to one number, oldest first; several things may happen at once."""
    said: list[Said] = []
    at = 1_000
    for nth in range(draw(st.integers(1, 6))):
        at += draw(st.sampled_from([0, 1, 1_000]))
        to = draw(st.sampled_from(RECEIVERS))
        # A notice may have the id of an earlier reply.
        reply_id = f"SM{draw(st.integers(0, nth))}"
        reply = inbound(None, at, id=f"SM{nth}", to=to, received_at=at)
        said.append(
            draw(
                st.sampled_from(
                    [
                        Said(OPT_OUT, at, to, replace(reply, text="STOP")),
                        Said(OPT_OUT, at, to, replace(reply, kind="opt_out", provider_message_id=reply_id)),
                        Said(OPT_OUT, at, to, receipt(f"m{nth}", UNSUBSCRIBED, at, from_=to, received_at=at)),
                        Said(COMPLAINT, at, to, replace(reply, text="this is spam")),
                        Said(COMPLAINT, at, to, receipt(f"m{nth}", SPAM, at, from_=to, received_at=at)),
                        Said(DEAD, at, to, receipt(f"m{nth}", UNKNOWN_NUMBER, at, from_=to, received_at=at)),
                        Said(GIVEN_UP, at, None, replace(reply, kind="opt_out", keyword="REASSIGNED")),
                        Said(START, at, to, replace(reply, text="START")),
                        Said(RESTORE, at, LIST, command("restore", at)),
                        Said(NOTHING, at, to, replace(reply, text="Is Saturday fine?")),
                    ]
                )
            )
        )
    return said


def stage_of(account: AccountConfig, *, is_account_wide: bool) -> Stage:
    """A stage with both lists; opt-outs count for a list, or for the whole account."""
    scope = "account" if is_account_wide else "list"
    return Stage(replace(account, opt_out_scope=scope), ONE_LIST, ListConfig(account=ACCOUNT, number=OTHER))


def may_mean(said: Said, listed: str, *, is_account_wide: bool) -> bool:
    if said.what in (OPT_OUT, COMPLAINT) and is_account_wide:
        return True
    return said.to == listed or said.to not in LISTS


def must_be_out(history: list[Said], listed: str, *, is_account_wide: bool) -> bool:
    """Whether somebody asked last, or for good, not to be texted from a list."""
    meant = [each for each in history if may_mean(each, listed, is_account_wide=is_account_wide)]
    restored = max((each.at for each in meant if each.what == RESTORE), default=0)
    if any(each.what in LASTING and each.at > restored for each in meant):
        return True
    back = max(restored, *(each.at for each in meant if each.what == START), 0)
    out = max((each.at for each in meant if each.what in (OPT_OUT, GIVEN_UP, *LASTING)), default=0)
    # An order counts by its place on its topic, so at the same time as an opt-out it may be the later of the two.
    return out >= back > restored or out > back


@settings(max_examples=examples(900, 200), deadline=None)
@given(histories(), st.booleans(), st.sampled_from([NOT_REGISTERING, REGISTERING]), st.data())
def test_whoever_wished_last_to_be_left_alone_is_out(
    history: list[Said], is_account_wide: bool, account: AccountConfig, data: st.DataObject
) -> None:
    stage = stage_of(account, is_account_wide=is_account_wide)
    again = data.draw(st.lists(st.sampled_from(history), max_size=3))
    for said in [*data.draw(st.permutations(history)), *(e for e in again if not isinstance(e.record, ContactCommand))]:
        stage.apply(said.record)
    for listed in LISTS:
        if must_be_out(history, listed, is_account_wide=is_account_wide):
            assert not stage.state(NUMBER, listed).active
