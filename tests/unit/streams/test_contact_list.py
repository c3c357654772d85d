"""To which list a report belongs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from contact_records import ACCOUNT, DELIVERED, inbound, message_sent, receipt

from accounts.lists import list_of
from schemas.records import ListConfig

TOLL_FREE = "+18005551234"
SHORT_CODE = "72345"
BRAND = "AcmeShop"


def lists(*numbers: str) -> dict[str, ListConfig]:
    return {number: ListConfig(account=ACCOUNT, number=number) for number in numbers}


NONE = lists()
ONE = lists(TOLL_FREE)
TWO = lists(TOLL_FREE, BRAND)


@pytest.mark.parametrize(
    ("sender", "of_account", "expected"),
    [
        (TOLL_FREE, TWO, TOLL_FREE),
        (BRAND, TWO, BRAND),
        ("+18005559999", TWO, "+18005559999"),
        (SHORT_CODE, ONE, SHORT_CODE),
        (SHORT_CODE, NONE, SHORT_CODE),
        ("OtherBrand", ONE, TOLL_FREE),
        ("OtherBrand", TWO, None),
        ("OtherBrand", NONE, None),
        ("²³", TWO, None),
        (None, ONE, TOLL_FREE),
        ("", ONE, TOLL_FREE),
        (None, TWO, None),
        (None, NONE, None),
    ],
)
def test_without_a_registration_the_sender_names_the_list(
    sender: str | None, of_account: Mapping[str, ListConfig], expected: str | None
) -> None:
    assert list_of(receipt("m1", DELIVERED, 1, from_=sender), None, of_account) == expected
    assert list_of(inbound("hi", to=sender), None, of_account) == expected


def test_the_registered_list_wins_over_the_sender() -> None:
    registered = message_sent("m1", list_number=BRAND)
    assert list_of(receipt("m1", DELIVERED, 1, from_=TOLL_FREE), registered, TWO) == BRAND
    assert list_of(inbound("hi", to=TOLL_FREE, list_number=SHORT_CODE), registered, TWO) == BRAND


@pytest.mark.parametrize(
    ("named", "to", "expected"),
    [
        (BRAND, TOLL_FREE, BRAND),
        (SHORT_CODE, None, None),
        (SHORT_CODE, TOLL_FREE, TOLL_FREE),
        ("OtherBrand", TOLL_FREE, TOLL_FREE),
        (None, TOLL_FREE, TOLL_FREE),
        ("OtherBrand", None, None),
    ],
)
def test_the_list_a_provider_names_comes_before_the_number_written_to(
    named: str | None, to: str | None, expected: str | None
) -> None:
    assert list_of(inbound("hi", to=to, list_number=named), None, TWO) == expected


def test_a_providers_own_id_of_a_list_is_looked_up() -> None:
    config = ListConfig(account=ACCOUNT, number=BRAND, provider_list_ids={"lime": "1221"})
    of_account = {**ONE, BRAND: config}
    assert list_of(inbound("hi", list_number="1221", provider="lime"), None, of_account) == BRAND
    assert list_of(inbound("hi", list_number="1221", to=TOLL_FREE, provider="cm"), None, of_account) == TOLL_FREE
