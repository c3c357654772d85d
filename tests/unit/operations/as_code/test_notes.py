"""What a person is told before a file is applied."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from accounts.model import Accounts
from operations.as_code.plan import make_plan
from tests.unit.operations.as_code.files import ACCOUNT, ENDPOINT, LIST, OTHER, account_with, endpoint_with, view_of


def test_http_is_taken_with_a_note() -> None:
    text = account_with('[[accounts.endpoints]]\nid = "crm"\nurl = "http://a.example/"')
    assert make_plan(text, Accounts()).notes == (
        "accounts[0].endpoints[0].url: http is not encrypted; it needs allow_http, or TRACKLY_ALLOW_HTTP of sinks",
    )


def test_http_that_the_account_allows_is_only_not_encrypted() -> None:
    text = account_with('allow_http = true\n[[accounts.endpoints]]\nid = "crm"\nurl = "http://a.example/"')
    assert make_plan(text, Accounts()).notes == ("accounts[0].endpoints[0].url: http is not encrypted",)


def test_keywords_are_switched_off_with_a_note() -> None:
    assert make_plan(account_with('[accounts.opt_out]\noff = ["keywords"]'), Accounts()).notes == (
        "accounts[0].opt_out.off: without keywords, a reply STOP removes nobody",
    )


def test_words_that_must_remove_are_taken_out_with_a_note() -> None:
    text = account_with('[accounts.opt_out]\nnever = ["Stop", "opt-out", "WRONG", "stop by"]')
    assert make_plan(text, Accounts()).notes == (
        "accounts[0].opt_out.never: a reply OPTOUT removes nobody, but carriers and the law require it",
        "accounts[0].opt_out.never: a reply STOP removes nobody, but carriers and the law require it",
    )


def test_of_a_list_that_goes_the_plan_says_that_its_opt_outs_go_too() -> None:
    view = view_of(ACCOUNT, LIST, ENDPOINT, OTHER)
    assert make_plan(endpoint_with(""), view, prune=True).notes == (
        "list +18005551234 of account acme goes with its opt-outs: other lists may text those who opted out of it, "
        "even one that takes over its number. Export them first, and import them there",
    )
    assert make_plan(endpoint_with(""), view).notes == ()


@pytest.mark.parametrize("address", ["+18885550199", "AcmeShop"])
def test_of_an_address_that_moves_to_another_list_the_plan_says_that_its_opt_outs_stay(address: str) -> None:
    field = "numbers" if address.startswith("+") else "senders"
    view = view_of(ACCOUNT, replace(LIST, **{field: (address,)}), replace(LIST, number="54321"))
    text = account_with(
        f'[[accounts.lists]]\nnumber = "{LIST.number}"\n[[accounts.lists]]\nnumber = "54321"\n{field} = ["{address}"]'
    )
    assert make_plan(text, view).notes == (
        f'accounts[0].lists[1]: "{address}" moves here from list {LIST.number}, and its opt-outs do not: list 54321 '
        f"may text those who opted out of {LIST.number}, even from that address. Export them, and import them into "
        "list 54321",
    )


def test_of_an_address_that_becomes_a_list_of_its_own_the_plan_says_the_same() -> None:
    view = view_of(ACCOUNT, replace(LIST, number="54321", numbers=("+18885550199",)))
    text = account_with('[[accounts.lists]]\nnumber = "54321"\n[[accounts.lists]]\nnumber = "+18885550199"')
    assert "moves here from list 54321" in make_plan(text, view).notes[0]


def test_an_address_that_stays_with_its_list_or_is_new_needs_no_note() -> None:
    text = account_with(f'[[accounts.lists]]\nnumber = "{LIST.number}"\nnumbers = ["+18885550199", "+18885550198"]')
    assert make_plan(text, view_of(ACCOUNT, replace(LIST, numbers=("+18885550199",)))).notes == ()
