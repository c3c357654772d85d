"""`/api/contacts`: orders, and who may be texted. Whatever is not known for certain is not `may_be_texted`."""

from __future__ import annotations

import asyncio
import time
from typing import Any, get_args

import pytest

from console.api.suppression import Reason
from console.contacts.freshness import Freshness
from schemas.ids import contact_key, recipient_key
from schemas.pseudonyms import Pseudonyms
from schemas.records import REMOVAL_REASONS, ContactCommand
from tests.unit.console.console_parts import LIST, NUMBER, OTHER_LIST, Api, refusal

KEY = "a key of pseudonyms"
CHECK = {"list_number": LIST, "numbers": [NUMBER]}


@pytest.fixture
def api() -> Api:
    return Api()


async def only_answer(api: Api, **changes: Any) -> dict[str, Any]:
    answer = await api.post("/api/contacts/check", json={**CHECK, **changes})
    assert answer.status_code == 200, answer.text
    (contact,) = answer.json()["contacts"]
    return contact  # type: ignore[no-any-return]


# Who may be texted


async def test_a_contact_without_a_record_may_be_texted(api: Api) -> None:
    assert await only_answer(api) == {
        "number": NUMBER,
        "may_be_texted": True,
        "reason": None,
        "since": None,
        "scope": "list",
        "held": False,
        "failures": 0,
        "not_before": None,
        "until": None,
        "time_zones": [],
        "rule": None,
        "code": None,
    }


async def test_a_removed_contact_may_not_and_the_reason_is_told(api: Api) -> None:
    api.contact(active=False, reason="complaint", failures=1)
    assert await only_answer(api) == {
        "number": NUMBER,
        "may_be_texted": False,
        "reason": "complaint",
        "since": "2024-01-15T10:30:00.000Z",
        "scope": "list",
        "held": False,
        "failures": 1,
        "not_before": None,
        "until": None,
        "time_zones": [],
        "rule": None,
        "code": None,
    }


async def test_a_contact_that_is_held_may_not_and_the_reason_is_told(api: Api) -> None:
    api.contact(active=False, reason="invalid_contact", held=True)
    answer = await only_answer(api)
    assert (answer["may_be_texted"], answer["held"], answer["reason"]) == (False, True, "invalid_contact")


async def test_what_is_held_for_the_whole_account_is_held_on_every_list(api: Api) -> None:
    api.contact(active=False, reason="invalid_contact", list_number="", scope="account", held=True)
    answer = await only_answer(api)
    assert (answer["may_be_texted"], answer["held"], answer["scope"]) == (False, True, "account")


@pytest.mark.parametrize(("of_list", "of_account"), [(False, True), (True, False)])
async def test_a_removal_goes_before_a_hold(api: Api, of_list: bool, of_account: bool) -> None:
    api.contact(active=False, held=of_list)
    api.contact(active=False, reason="complaint", list_number="", scope="account", held=of_account)
    answer = await only_answer(api)
    assert (answer["may_be_texted"], answer["held"]) == (False, False)
    assert answer["scope"] == ("list" if of_account else "account")


async def test_a_number_that_is_out_for_the_whole_account_may_not_from_any_list(api: Api) -> None:
    api.contact(active=False, reason="message", list_number="", scope="account")
    answer = await only_answer(api)
    assert (answer["may_be_texted"], answer["reason"], answer["scope"]) == (False, "message", "account")
    assert answer["since"] == "2024-01-15T10:30:00.000Z"
    shown = (await api.get(f"/api/contacts/{LIST}/{NUMBER}")).json()
    assert (shown["may_be_texted"], shown["scope"]) == (False, "account")


async def test_what_a_list_itself_says_comes_first(api: Api) -> None:
    api.contact(active=False, reason="message", list_number="", scope="account")
    api.contact(active=False, reason="complaint")
    answer = await only_answer(api)
    assert (answer["reason"], answer["scope"]) == ("complaint", "list")


async def test_a_number_may_be_texted_from_a_list_on_which_it_has_come_back(api: Api) -> None:
    api.contact(active=False, reason="message", list_number="", scope="account", except_lists=(LIST,))
    assert (await only_answer(api))["may_be_texted"] is True


async def test_what_holds_for_the_whole_account_and_cannot_be_read_is_no_leave_to_text(api: Api) -> None:
    api.store.write({contact_key("acme", "", NUMBER).encode(): b"\x00\x00\x00\x03\xe7"}, None)
    answer = await only_answer(api)
    assert (answer["may_be_texted"], answer["code"]) == (False, "unreadable_state")


async def test_an_erased_number_that_was_out_for_the_whole_account_may_not() -> None:
    erased = Api(pseudonym_key=KEY)
    erased.contact(active=False, list_number="", number=Pseudonyms(KEY).of("acme", NUMBER))
    assert (await only_answer(erased))["may_be_texted"] is False


@pytest.mark.parametrize("order", ["remove", "restore"])
async def test_an_order_may_be_for_every_list(api: Api, order: str) -> None:
    answer = await api.post(f"/api/contacts/{order}", json={"list_number": "all", "numbers": [NUMBER]})
    assert answer.status_code == 202, answer.text
    (command,) = api.written.records("commands")
    assert isinstance(command, ContactCommand)
    assert (command.command, command.list_number) == (order, "")


async def test_a_removed_contact_that_was_erased_may_not() -> None:
    erased = Api(pseudonym_key=KEY)
    erased.contact(active=False, number=Pseudonyms(KEY).of("acme", NUMBER))
    assert (await only_answer(erased))["may_be_texted"] is False


async def test_without_the_key_of_pseudonyms_nobody_may_be_texted_once_a_number_was_erased(api: Api) -> None:
    api.contact(active=False, number=Pseudonyms(KEY).of("acme", NUMBER))
    answer = await api.post("/api/contacts/check", json=CHECK)
    assert refusal(answer) == (503, "not_available")
    assert "TRACKLY_PSEUDONYM_KEY" in answer.json()["message"]


async def test_failures_below_the_threshold_do_not_matter(api: Api) -> None:
    api.contact(active=True, failures=2)
    answer = await only_answer(api)
    assert (answer["may_be_texted"], answer["failures"]) == (True, 2)


async def test_answers_come_in_the_order_of_the_numbers(api: Api) -> None:
    numbers = ["1 555 123 0001", "nobody", "+15551230001", ""]
    answer = await api.post("/api/contacts/check", json={**CHECK, "numbers": numbers})
    assert [(each["number"], each["code"]) for each in answer.json()["contacts"]] == [
        (NUMBER, None),
        ("nobody", "invalid_number"),
        (NUMBER, None),
        ("", "invalid_number"),
    ]


@pytest.mark.parametrize("number", ["2125550100", "(212) 555-0100", "+2125550100", "4522334455", "452-233-4455"])
async def test_a_number_that_may_lack_its_country_code_is_no_contact_that_may_be_texted(api: Api, number: str) -> None:
    api.contact(active=False, number="+12125550100")
    answer = await only_answer(api, numbers=[number])
    assert (answer["number"], answer["may_be_texted"], answer["code"]) == (number, False, "invalid_number")


@pytest.mark.parametrize("number", ["+4522334455", "004522334455", "12125550100", "447911123456", "US.2125550100"])
async def test_a_number_whose_country_is_certain_is_one(api: Api, number: str) -> None:
    answer = await only_answer(api, numbers=[number])
    assert (answer["may_be_texted"], answer["code"]) == (True, None)


@pytest.mark.parametrize("list_number", ["+18005550000", OTHER_LIST, "nonsense", "x" * 200])
async def test_from_a_list_that_is_not_the_account_s_nobody_may_be_texted(api: Api, list_number: str) -> None:
    answer = await only_answer(api, list_number=list_number)
    assert (answer["may_be_texted"], answer["code"]) == (False, "unknown_list")


async def test_a_state_that_cannot_be_read_is_no_leave_to_text(api: Api) -> None:
    api.store.write({contact_key("acme", LIST, NUMBER).encode(): b"\x00\x00\x00\x03\xe7"}, None)
    answer = await only_answer(api)
    assert (answer["may_be_texted"], answer["code"]) == (False, "unreadable_state")


async def test_the_list_may_be_written_in_any_form(api: Api) -> None:
    assert (await only_answer(api, list_number="1 800 555 1234"))["may_be_texted"]


@pytest.mark.parametrize("path", ["/api/contacts/check", f"/api/contacts/{LIST}/{NUMBER}"])
async def test_past_the_limit_there_is_no_answer_but_the_reason(api: Api, path: str) -> None:
    api = Api(check_max_age=5)
    api.complete(seconds_ago=6)
    api.view.problem = "no Kafka broker could be used"
    answer = await (api.get(path) if "+" in path else api.post(path, json=CHECK))
    assert refusal(answer) == (503, "not_available")
    assert int(answer.headers["Retry-After"]) > 0
    message = answer.json()["message"]
    assert "as of 20" in message
    assert "5 s is the limit" in message
    assert "no Kafka broker could be used" in message
    assert "may_be_texted" not in answer.text


async def test_before_the_copy_is_complete_there_is_no_answer() -> None:
    api = Api()
    api.view.freshness = Freshness()
    answer = await api.post("/api/contacts/check", json=CHECK)
    assert refusal(answer) == (503, "not_available")
    assert "Nothing is known yet" in answer.json()["message"]


async def test_an_answer_says_up_to_when_it_is_true(api: Api) -> None:
    api.complete(seconds_ago=3)
    as_of = (await api.post("/api/contacts/check", json=CHECK)).json()["as_of"]
    assert as_of < time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))


@pytest.mark.parametrize("numbers", [[], [NUMBER] * 1_001, None, [1], ["1" * 201]])
async def test_a_question_of_another_shape_is_refused(api: Api, numbers: Any) -> None:
    answer = await api.post("/api/contacts/check", json={**CHECK, "numbers": numbers})
    assert refusal(answer) == (422, "validation_failed")


# One contact


async def test_one_contact_is_looked_up_by_its_path(api: Api) -> None:
    api.contact(active=False)
    contact = (await api.get(f"/api/contacts/{LIST}/{NUMBER.lstrip('+')}")).json()
    assert (contact["list_number"], contact["number"], contact["may_be_texted"]) == (LIST, NUMBER, False)
    assert contact["as_of"]


@pytest.mark.parametrize("path", [f"{OTHER_LIST}/{NUMBER}", f"{LIST}/nobody", f"nobody/{NUMBER}"])
async def test_what_is_no_contact_of_the_account_is_not_found(api: Api, path: str) -> None:
    assert refusal(await api.get(f"/api/contacts/{path}")) == (404, "not_found")


# Orders


@pytest.mark.parametrize(
    ("path", "command", "said", "reason"),
    [
        ("remove", "remove", {}, None),
        ("remove", "remove", {"reason": "manual"}, None),
        ("remove", "remove", {"reason": "complaint"}, "complaint"),
        ("restore", "restore", {}, None),
    ],
)
async def test_an_order_is_written_for_each_contact(
    api: Api, path: str, command: str, said: dict[str, str], reason: str | None
) -> None:
    body = {"list_number": "18005551234", "numbers": ["15551230001", "+15551230002"], **said}
    answer = await api.post(f"/api/contacts/{path}", json=body)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 2)
    assert [entry.key for topic, entry in api.written.entries if topic == "commands"] == [
        recipient_key("acme", number) for number in (NUMBER, "+15551230002")
    ]
    orders = [order for order in api.written.records("commands") if isinstance(order, ContactCommand)]
    assert [(o.command, o.account, o.list_number, o.phone_number, o.issued_by, o.reason) for o in orders] == [
        (command, "acme", LIST, number, "acme shop", reason) for number in (NUMBER, "+15551230002")
    ]
    assert len({order.event_id for order in orders}) == 2


async def test_a_number_that_was_given_up_is_removed_as_of_a_date(api: Api) -> None:
    body = {"list_number": "all", "numbers": [NUMBER], "reason": "deactivated", "happened_at": "2026-11-20T10:15:00Z"}
    assert (await api.post("/api/contacts/remove", json=body)).status_code == 202
    [order] = [each for each in api.written.records("commands") if isinstance(each, ContactCommand)]
    assert (order.reason, order.list_number, order.happened_at) == ("deactivated", "", 1_795_169_700_000)


@pytest.mark.parametrize("said", [{"reason": "complaint"}, {"reason": "deactivated", "happened_at": "yesterday"}])
async def test_a_date_without_such_a_reason_or_that_is_none_is_refused(api: Api, said: dict[str, str]) -> None:
    body = {"list_number": LIST, "numbers": [NUMBER], "happened_at": "2026-11-20T10:15:00Z", **said}
    assert refusal(await api.post("/api/contacts/remove", json=body)) == (422, "validation_failed")
    assert not api.written.entries


def test_the_reasons_are_those_of_the_records() -> None:
    assert get_args(Reason) == REMOVAL_REASONS


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"list_number": OTHER_LIST}, "list_number: is not a list in account acme"),
        ({"list_number": "nobody"}, "list_number: is not a valid phone number"),
        ({"list_number": "8005551234"}, "list_number: may lack its country code; write it as +18005551234"),
        ({"numbers": [NUMBER, "nobody"]}, "numbers[1]: is not a valid phone number"),
        ({"numbers": [NUMBER, "2125550100"]}, "numbers[1]: may lack its country code; write it as +18005551234"),
        ({"numbers": []}, "numbers: "),
        ({"numbers": [NUMBER] * 1_001}, "numbers: "),
        ({"reason": "because"}, "reason: "),
        ({"list": LIST}, "list: is not a known field"),
    ],
)
async def test_an_order_with_a_mistake_is_not_given(api: Api, changes: dict[str, Any], told: str) -> None:
    answer = await api.post("/api/contacts/remove", json={**CHECK, **changes})
    assert refusal(answer) == (422, "validation_failed")
    assert answer.json()["message"].startswith(told)
    assert not api.written.entries


async def test_a_repeated_order_keeps_the_time_of_the_first(api: Api) -> None:
    """A restore that is sent again after a new opt-out must not undo that opt-out."""
    for _ in range(2):
        await api.post("/api/contacts/restore", json=CHECK, headers={"Idempotency-Key": "a"})
        await asyncio.sleep(0.002)
    first, again = api.written.records("commands")
    assert first == again
