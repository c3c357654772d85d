"""One number on two lists, or in two accounts, is two contacts."""

from __future__ import annotations

from itertools import product

import pytest
from msgspec.structs import replace

from schemas.records import AccountConfig, InboundMessage, ListConfig, Record
from tests.unit.streams.contact_records import (
    ABSENT,
    DELIVERED,
    LIST,
    NUMBER,
    SPAM,
    UNKNOWN_NUMBER,
    command,
    inbound,
    receipt,
)
from tests.unit.streams.contact_stage import Stage

OTHER_LIST = "+18005559999"
LISTS = [*product(["acme", "other"], [LIST, OTHER_LIST])]


@pytest.fixture
def stage() -> Stage:
    configs = [ListConfig(account=account, number=number, retry_threshold=2) for account, number in LISTS]
    return Stage(AccountConfig(id="acme", name="Acme"), AccountConfig(id="other", name="Other"), *configs)


def active(stage: Stage) -> dict[tuple[str, str], bool]:
    return {(account, number): stage.state(NUMBER, number, account).active for account, number in LISTS}


@pytest.mark.parametrize(
    "removal",
    [
        [receipt("m1", SPAM, 1)],
        [receipt("m1", UNKNOWN_NUMBER, 1)],
        [receipt("m1", ABSENT, 1), receipt("m2", ABSENT, 2)],
        [inbound("STOP")],
        [command("remove")],
    ],
)
def test_what_removes_one_of_them_leaves_the_others(stage: Stage, removal: list[Record]) -> None:
    stage.apply(*removal)
    assert active(stage) == {name: name != ("acme", LIST) for name in LISTS}


def test_failures_are_counted_for_each(stage: Stage) -> None:
    for number, (account, list_number) in enumerate(LISTS):
        stage.apply(replace(receipt(f"m{number}", ABSENT, number + 1, from_=list_number), account=account))
    assert all(active(stage).values())


def test_one_message_id_in_two_accounts_is_two_messages(stage: Stage) -> None:
    stage.apply(receipt("m1", DELIVERED, 1))
    stage.apply(replace(receipt("m1", SPAM, 2), account="other"))
    assert active(stage) == {name: name != ("other", LIST) for name in LISTS}


def test_an_opt_out_of_all_lists_is_one_of_its_account(stage: Stage) -> None:
    message: InboundMessage = inbound("STOP ALL", kind="opt_out", scope="all")
    stage.apply(message)
    assert active(stage) == {(account, number): account != "acme" for account, number in LISTS}


def test_who_comes_back_to_one_comes_back_to_that_one(stage: Stage) -> None:
    stage.apply(inbound("STOP ALL", kind="opt_out", scope="all"), inbound("START", 5, id="SM2"))
    assert active(stage)["acme", LIST]
    assert not active(stage)["acme", OTHER_LIST]
