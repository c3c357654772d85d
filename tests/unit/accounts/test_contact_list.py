"""Which list a report belongs to, and whether that is certain."""

from __future__ import annotations

import pytest

from accounts.lists import Belonging, Lists, list_in, list_of
from schemas.records import ListConfig
from tests.unit.streams.contact_records import ACCOUNT, DELIVERED, click, inbound, message_sent, receipt

TOLL_FREE = "+18005551234"
SHORT_CODE = "72345"
BRAND = "AcmeShop"
POOL = "+18885550199"
AGENT = "acme_agent"


def lists(*configs: ListConfig | str) -> Lists:
    found = [ListConfig(account=ACCOUNT, number=each) if isinstance(each, str) else each for each in configs]
    return Lists.of({each.number: each for each in found})


NONE = lists()
ONE = lists(TOLL_FREE)
TWO = lists(TOLL_FREE, BRAND)
SERVICE = ListConfig(account=ACCOUNT, number=TOLL_FREE, numbers=(POOL, SHORT_CODE), senders=(AGENT, "Acme Media"))

UNKNOWN = Belonging(None, None, False)


def certain(number: str) -> Belonging:
    return Belonging(number, number, True)


def likely(number: str) -> Belonging:
    return Belonging(number, number, False)


def named(number: str) -> Belonging:
    return Belonging(number, None, False)


@pytest.mark.parametrize(
    ("sender", "of_account", "expected"),
    [
        (TOLL_FREE, TWO, certain(TOLL_FREE)),
        (BRAND, TWO, certain(BRAND)),
        ("+18005559999", TWO, named("+18005559999")),
        ("+18005559999", ONE, likely(TOLL_FREE)),
        (SHORT_CODE, ONE, likely(TOLL_FREE)),
        (SHORT_CODE, NONE, named(SHORT_CODE)),
        ("OtherBrand", ONE, likely(TOLL_FREE)),
        ("OtherBrand", TWO, UNKNOWN),
        ("OtherBrand", NONE, UNKNOWN),
        ("²³", TWO, UNKNOWN),
        (None, ONE, certain(TOLL_FREE)),
        ("", ONE, certain(TOLL_FREE)),
        (None, TWO, UNKNOWN),
        (None, NONE, UNKNOWN),
    ],
)
def test_without_a_registration_the_sender_names_the_list(
    sender: str | None, of_account: Lists, expected: Belonging
) -> None:
    assert list_of(receipt("m1", DELIVERED, 1, from_=sender), None, of_account) == expected
    assert list_of(inbound("hi", to=sender), None, of_account) == expected


@pytest.mark.parametrize(
    "sender", [POOL, SHORT_CODE, AGENT, f"rcs:{AGENT}", "ACME_AGENT", "acme media", f"whatsapp:{POOL}", f" {AGENT} "]
)
def test_what_a_list_sends_from_belongs_to_it_in_every_spelling(sender: str) -> None:
    assert list_of(inbound("hi", to=sender), None, lists(SERVICE, BRAND)) == certain(TOLL_FREE)


def test_an_address_of_two_lists_is_that_of_none() -> None:
    other = ListConfig(account=ACCOUNT, number=BRAND, senders=(AGENT.upper(),))
    assert list_of(inbound("hi", to=AGENT), None, lists(SERVICE, other)) == UNKNOWN


def test_the_registered_list_wins_over_the_sender() -> None:
    registered = message_sent("m1", list_number=BRAND)
    assert list_of(receipt("m1", DELIVERED, 1, from_=TOLL_FREE), registered, TWO) == certain(BRAND)
    assert list_of(inbound("hi", to=None, list_number=SHORT_CODE), registered, TWO) == certain(BRAND)


def test_a_reply_to_another_list_than_its_message_s_may_mean_either() -> None:
    registered = message_sent("m1", list_number=BRAND)
    assert list_of(inbound("hi", to=TOLL_FREE), registered, TWO) == Belonging(BRAND, BRAND, False)


def test_a_message_registered_for_a_number_of_a_list_is_of_that_list() -> None:
    registered = message_sent("m1", list_number=POOL)
    assert list_of(receipt("m1", DELIVERED, 1, from_=BRAND), registered, lists(SERVICE, BRAND)) == certain(TOLL_FREE)


def test_a_message_registered_for_no_list_keeps_the_name_and_counts_for_none() -> None:
    registered = message_sent("m1", list_number=POOL)
    assert list_of(receipt("m1", DELIVERED, 1, from_=TOLL_FREE), registered, TWO) == named(POOL)


@pytest.mark.parametrize(
    ("named_list", "to", "expected"),
    [
        (BRAND, TOLL_FREE, certain(BRAND)),
        (SHORT_CODE, None, UNKNOWN),
        (SHORT_CODE, TOLL_FREE, certain(TOLL_FREE)),
        ("OtherBrand", TOLL_FREE, certain(TOLL_FREE)),
        (None, TOLL_FREE, certain(TOLL_FREE)),
        ("OtherBrand", None, UNKNOWN),
    ],
)
def test_the_list_a_provider_names_comes_before_the_number_written_to(
    named_list: str | None, to: str | None, expected: Belonging
) -> None:
    assert list_of(inbound("hi", to=to, list_number=named_list), None, TWO) == expected


def test_a_providers_own_id_of_a_list_is_looked_up() -> None:
    config = ListConfig(account=ACCOUNT, number=BRAND, provider_list_ids={"lime": "1221"})
    of_account = lists(TOLL_FREE, config)
    assert list_of(inbound("hi", list_number="1221", provider="lime"), None, of_account) == certain(BRAND)
    found = list_of(inbound("hi", list_number="1221", to=TOLL_FREE, provider="cm"), None, of_account)
    assert found == certain(TOLL_FREE)


def test_a_click_names_no_sender() -> None:
    assert list_of(click(), None, ONE) == certain(TOLL_FREE)
    assert list_of(click(), None, TWO) == UNKNOWN


@pytest.mark.parametrize(
    ("written", "received"),
    [("+5215512345678", "+525512345678"), ("+525512345678", "+5215512345678"), ("+4407400123456", "+447400123456")],
)
def test_a_list_is_found_in_whichever_spelling_its_number_is_written(written: str, received: str) -> None:
    two = lists(written, TOLL_FREE)
    assert list_of(inbound("STOP", to=received), None, two) == certain(written)
    assert list_of(receipt("m1", DELIVERED, from_=received), None, two) == certain(written)
    assert list_of(inbound("STOP", to=None), message_sent("m1", list_number=received), two) == certain(written)
    assert list_in(two.configs, received) == written
    assert list_in(two.configs, "+525512345679") is None
