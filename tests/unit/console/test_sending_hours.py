"""When an account texts, set by the API and on a page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from console.principals import Role
from operations.as_code.export import export
from schemas.records import AccountConfig, AuditEntry
from tests.unit.console.console_parts import Api, refusal

PATH = "/api/account/sending-hours"
DEFAULT = {
    "rules": [],
    "from": None,
    "to": None,
    "days": [],
    "zones": "number",
    "without_zone": "closed",
    "cap": None,
    "rule_caps": False,
    "keep_answers": False,
}
GIVEN = DEFAULT | {
    "rules": ["us", "us-wa"],
    "from": "09:00",
    "to": "20:00",
    "days": ["mon-sat"],
    "cap": 5,
    "keep_answers": True,
}


@pytest.fixture
def api() -> Api:
    return Api()


def account(api: Api) -> AccountConfig:
    return api.accounts.accounts["acme"]


async def put(api: Api, body: dict[str, Any], **headers: str) -> Any:
    return await api.request("PUT", PATH, json=body, headers={n.replace("_", "-"): v for n, v in headers.items()})


async def test_an_account_without_any_texts_at_any_time(api: Api) -> None:
    answer = await api.get(PATH)
    assert (answer.status_code, answer.json()) == (200, DEFAULT)
    assert answer.headers["etag"]


async def test_what_is_put_is_in_force_in_the_audit_log_and_in_the_settings_file(api: Api) -> None:
    answer = await put(api, {name: value for name, value in GIVEN.items() if value != DEFAULT[name]})
    assert (answer.status_code, answer.json()) == (200, GIVEN)
    assert (await api.get(PATH)).json() == GIVEN
    assert (account(api).sending_rules, account(api).sending_cap) == (("us", "us-wa"), 5)
    (entry,) = (each for each in api.written.records("audit") if isinstance(each, AuditEntry))
    assert entry.action == "account.sending_hours"
    assert json.loads(entry.details)["from"] == [None, "09:00"]
    assert json.loads(entry.details)["keep_answers"] == [False, True]
    assert 'rules = ["us", "us-wa"]' in export(api.accounts)
    assert "keep_answers = true" in export(api.accounts)


async def test_what_is_left_out_gets_its_default_and_what_is_so_already_is_not_written(api: Api) -> None:
    await put(api, GIVEN)
    assert (await put(api, {"cap": 3})).json() == DEFAULT | {"cap": 3}
    written = len(api.written.entries)
    assert (await put(api, {"cap": 3})).status_code == 200
    assert len(api.written.entries) == written


async def test_checks_go_by_it_at_once(api: Api) -> None:
    assert (await put(api, {"rules": ["us"], "without_zone": "closed"})).status_code == 200
    question = {"list_number": "+18005551234", "numbers": ["+18005550123"]}
    (answer,) = (await api.post("/api/contacts/check", json=question)).json()["contacts"]
    assert (answer["reason"], answer["rule"]) == ("quiet_hours", "no-time-zone")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"rules": ["us-txx"]}, "rules[0]: "),
        ({"rules": ["us", "us"]}, "rules[1]: "),
        ({"from": "9"}, "from: "),
        ({"from": "20:00", "to": "09:00"}, "to: "),
        ({"days": ["monday"]}, "days[0]: "),
        ({"zones": "nowhere"}, "zones: "),
        ({"without_zone": "Mars/Base"}, "without_zone: "),
        ({"cap": 0}, "cap: "),
        ({"cap": "5"}, "cap: "),
        ({"rule_caps": 1}, "rule_caps: "),
        ({"keep_answers": "yes"}, "keep_answers: "),
        ({"until": "20:00"}, "until: is not a known field"),
        ({"from_": "09:00"}, "from_: is not a known field"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_field(api: Api, body: dict[str, Any], told: str) -> None:
    answer = await put(api, body)
    assert refusal(answer) == (422, "validation_failed")
    assert answer.json()["message"].startswith(told)
    assert not api.written.entries


async def test_nothing_is_changed_that_somebody_has_changed_meanwhile(api: Api) -> None:
    read = (await api.get(PATH)).headers["etag"]
    assert (await put(api, {"cap": 3}, if_match=read)).status_code == 200
    assert refusal(await put(api, {"cap": 4}, if_match=read)) == (412, "changed_meanwhile")
    assert account(api).sending_cap == 3


async def test_the_page_shows_a_form_to_admins_and_saves_it(api: Api) -> None:
    api.sign_in(Role.ADMIN)
    shown = (await api.page("/sending-hours")).text
    assert "us-calls: all rules" in shown
    version = shown.partition('name="version" value="')[2].partition('"')[0]
    form: dict[str, Any] = {
        "rules": ["us", "us-wa"],
        "opens": "09:00",
        "to": "20:00",
        "days": "mon-fri, sat",
        "cap": "5",
    }
    answer = await api.form("/sending-hours", version=version, rule_caps="yes", keep_answers="yes", **form)
    assert answer.headers["location"] == "/accounts/acme/sending-hours?notice=saved"
    assert account(api).sending_rules == ("us", "us-wa")
    assert (account(api).sending_days, account(api).sending_cap) == (("mon-fri", "sat"), 5)
    assert (account(api).sending_rule_caps, account(api).keeps_answers) == (True, True)
    assert 'value="us-wa" checked' in (await api.page("/sending-hours")).text
    assert (await api.form("/sending-hours", version=version, cap="6")).status_code == 412
    assert account(api).sending_cap == 5


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("opens", "9", "not a time of day"),
        ("days", "someday", "not a weekday"),
        ("cap", "many", "expected a whole number"),
    ],
)
async def test_a_mistake_in_the_form_is_told_at_its_field_and_what_was_written_stays(
    api: Api, field: str, value: str, told: str
) -> None:
    api.sign_in(Role.ADMIN)
    answer = await api.form("/sending-hours", **{field: value})
    assert answer.status_code == 422
    assert f'value="{value}"' in answer.text
    assert told in answer.text.partition('class="error"')[2]
    assert not api.written.entries


async def test_who_is_no_admin_sees_it_and_changes_nothing(api: Api) -> None:
    await put(api, GIVEN)
    api.sign_in(Role.VIEWER)
    shown = (await api.page("/sending-hours")).text
    assert "09:00 to 20:00, mon-sat" in shown
    assert '<button class="main">' not in shown
    assert (await api.form("/sending-hours", cap="6")).status_code == 403
