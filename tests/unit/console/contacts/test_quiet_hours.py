"""`/api/contacts/check` and the time: when the account's rules allow a message, and what the answer says."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from console.principals import Role
from schemas.records import AccountConfig
from tests.clock import START
from tests.unit.console.console_parts import LIST, Api

NEW_YORK, LOS_ANGELES, MIAMI, TOLL_FREE = "+12125550123", "+14155550123", "+13055550123", "+18005550123"


@pytest.fixture
def api() -> Api:
    api = Api()
    settle(api, sending_rules=("us",))
    move(api, "2026-11-28T20:30", "America/New_York")
    return api


def settle(api: Api, **settings: Any) -> None:
    """Change the settings of the account."""
    api.accounts.put(replace(api.accounts.accounts["acme"], **settings))


def move(api: Api, text: str, zone: str = "UTC") -> None:
    """Set the clock."""
    api.clock.now = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() - START / 1000


async def check(api: Api, *numbers: str, **question: Any) -> list[dict[str, Any]]:
    body = {"list_number": LIST, "numbers": numbers, **question}
    answer = await api.post("/api/contacts/check", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["contacts"]  # type: ignore[no-any-return]


async def test_an_answer_says_until_when_it_holds_where_the_contact_is_and_by_which_rule(api: Api) -> None:
    (answer,) = await check(api, NEW_YORK)
    assert answer == {
        "number": NEW_YORK,
        "may_be_texted": True,
        "reason": None,
        "since": None,
        "scope": "list",
        "held": False,
        "failures": 0,
        "not_before": None,
        "until": "2026-11-29T02:00:00.000Z",
        "time_zones": ["America/New_York"],
        "rule": "us-federal",
        "code": None,
    }


async def test_in_quiet_hours_nobody_may_be_texted_and_it_is_said_when(api: Api) -> None:
    (answer,) = await check(api, MIAMI)
    assert answer["may_be_texted"] is False
    assert (answer["reason"], answer["held"], answer["code"]) == ("quiet_hours", False, None)
    assert (answer["not_before"], answer["until"]) == ("2026-11-29T13:00:00.000Z", "2026-11-30T01:00:00.000Z")
    assert answer["rule"] == "us-fl"


async def test_each_number_is_judged_by_its_own_place(api: Api) -> None:
    answers = await check(api, NEW_YORK, MIAMI, LOS_ANGELES, TOLL_FREE)
    assert [each["may_be_texted"] for each in answers] == [True, False, True, False]
    assert answers[3]["rule"] == "no-time-zone"
    assert answers[3]["time_zones"] == []


async def test_a_removed_contact_stays_removed_at_any_time_and_no_time_is_promised(api: Api) -> None:
    api.contact(active=False, number=MIAMI, reason="complaint")
    (answer,) = await check(api, MIAMI)
    assert (answer["may_be_texted"], answer["reason"], answer["not_before"]) == (False, "complaint", None)
    assert answer["time_zones"] == ["America/New_York"]


async def test_an_account_without_rules_texts_at_any_time(api: Api) -> None:
    settle(api, sending_rules=())
    (answer,) = await check(api, MIAMI)
    assert (answer["may_be_texted"], answer["until"], answer["rule"]) == (True, None, None)
    assert answer["time_zones"] == ["America/New_York"]


async def test_settings_count_as_soon_as_they_are_in_force(api: Api) -> None:
    assert (await check(api, NEW_YORK))[0]["may_be_texted"]
    settle(api, sending_to="20:00")
    assert (await check(api, NEW_YORK))[0]["rule"] == "account"


async def test_the_time_does_not_matter_for_what_is_not_marketing(api: Api) -> None:
    for answer in await check(api, MIAMI, TOLL_FREE, purpose="transactional"):
        assert (answer["may_be_texted"], answer["until"], answer["rule"]) == (True, None, None)
    api.contact(active=False, number=MIAMI)
    assert not (await check(api, MIAMI, purpose="transactional"))[0]["may_be_texted"]


async def test_a_purpose_of_another_name_is_refused(api: Api) -> None:
    answer = await api.post("/api/contacts/check", json={"list_number": LIST, "numbers": [NEW_YORK], "purpose": "spam"})
    assert answer.status_code == 422
    assert answer.json()["message"].startswith("purpose: ")


async def test_one_contact_is_judged_alike(api: Api) -> None:
    (answer,) = await check(api, MIAMI)
    shown = (await api.get(f"/api/contacts/{LIST}/{MIAMI}")).json()
    assert {name: shown[name] for name in answer} == answer
    free = (await api.get(f"/api/contacts/{LIST}/{MIAMI}", params={"purpose": "transactional"})).json()
    assert free["may_be_texted"] is True


async def test_a_number_may_be_texted_at_its_not_before_and_no_longer_at_its_until(api: Api) -> None:
    (closed,) = await check(api, MIAMI)
    for moment, may in ((closed["not_before"], True), (closed["until"], False)):
        move(api, moment.removesuffix("Z"))
        assert (await check(api, MIAMI))[0]["may_be_texted"] is may


async def test_one_account_s_rules_are_not_another_s(api: Api) -> None:
    api.accounts.put(AccountConfig(id="other", name="other", sending_rules=("us",), sending_to="10:00"))
    assert (await check(api, NEW_YORK))[0]["may_be_texted"] is True


async def test_the_page_of_a_contact_says_the_same_as_the_check(api: Api) -> None:
    api.sign_in(Role.SUPPORT)
    (answer,) = await check(api, MIAMI)
    shown = (await api.get(f"/api/contacts/{MIAMI}")).json()["now"]
    assert {name: shown[name] for name in shown} == {name: answer[name] for name in shown}
    page = (await api.page(f"/contacts/{MIAMI}")).text
    assert "must wait until" in page
    assert "us-fl" in page
    assert "America/New_York" in page
    assert "may be sent now" in (await api.page(f"/contacts/{NEW_YORK}")).text
    assert "location is not known" in (await api.page(f"/contacts/{TOLL_FREE}")).text
