"""Receivers that belong to no list, by the API, on their page, and by the command."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.lists import Lists
from console.principals import Role
from console.queries.receivers import receivers_of_no_list, setting_of
from database.tables import receivers
from schemas.records import AccountConfig, ListConfig
from tests.unit.console.console_parts import LIST, Api, refusal
from tests.unit.console.rows import seen_receiver
from trackly.cli import main

POOL = "+18885550100"


@pytest.fixture
def api() -> Api:
    api = Api()
    api.put(
        receivers,
        seen_receiver(POOL, replies=3),
        seen_receiver(POOL, days_ago=1, replies=2, reports=7),
        seen_receiver("acme_agent", provider="infobip", channel="rcs", reports=9),
        seen_receiver("1221", provider="lime", kind="list_id", replies=1),
        seen_receiver(LIST, replies=50),
        seen_receiver("+18005550199", account="other", replies=50),
        seen_receiver("+18005550198", days_ago=40, replies=50),
    )
    return api


async def listed(api: Api, **parameters: str) -> list[dict[str, Any]]:
    answer = await api.get("/api/receivers", params=parameters)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_what_belongs_to_no_list_is_listed_with_its_counts_and_the_setting_that_says_whose_it_is(
    api: Api,
) -> None:
    found = await listed(api)
    assert [(each["receiver"], each["replies"], each["reports"], each["setting"]) for each in found] == [
        (POOL, 5, 7, f'numbers = ["{POOL}"]'),
        ("1221", 1, 0, 'provider_list_ids = { lime = "1221" }'),
        ("acme_agent", 0, 9, 'senders = ["acme_agent"]'),
    ]
    assert (found[2]["channel"], found[2]["provider"], found[0]["channel"]) == ("rcs", "infobip", None)


async def test_what_was_not_seen_for_long_is_not_listed(api: Api) -> None:
    assert "+18005550198" in [each["receiver"] for each in await listed(api, since="60d")]
    assert "+18005550198" not in [each["receiver"] for each in await listed(api)]
    assert refusal(await api.get("/api/receivers", params={"since": "yesterday"})) == (422, "validation_failed")


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"receiver": POOL, "provider": "twilio"}, {"numbers": [POOL]}),
        ({"receiver": "acme_agent", "provider": "infobip"}, {"senders": ["acme_agent"]}),
        ({"receiver": "1221", "kind": "list_id", "provider": "lime"}, {"provider_list_ids": {"lime": "1221"}}),
    ],
)
async def test_a_list_is_given_a_receiver_which_is_written_to_the_audit_log(
    api: Api, given: dict[str, str], setting: dict[str, Any]
) -> None:
    api.accounts.put(ListConfig(account="acme", number=LIST, retry_threshold=7, dlr_forward_url="https://a.example/x"))
    answer = await api.post(f"/api/lists/{LIST}/receivers", json=given)
    assert answer.status_code == 201, answer.text
    shown = (await api.get(f"/api/lists/{LIST}")).json()
    assert {name: shown[name] for name in setting} == setting
    assert (shown["retry_threshold"], shown["dlr_forward_url"]) == (7, "https://a.example/x")
    assert [entry.action for entry in api.written.records("audit")] == ["list.change"]  # type: ignore[union-attr]
    assert given["receiver"] not in [each["receiver"] for each in await listed(api)]


async def test_a_receiver_of_another_list_is_refused(api: Api) -> None:
    api.accounts.put(ListConfig(account="acme", number="+18005550007", numbers=(POOL,)))
    answer = await api.post(f"/api/lists/{LIST}/receivers", json={"receiver": POOL, "provider": "twilio"})
    assert refusal(answer) == (422, "validation_failed")


async def test_the_page_shows_them_and_lets_admins_give_them_to_a_list(api: Api) -> None:
    api.sign_in(Role.ADMIN)
    assert POOL in (await api.page("/receivers")).text
    fields = {"receiver": POOL, "kind": "address", "provider": "twilio", "list_number": LIST}
    answer = await api.form("/receivers", **fields)
    assert answer.headers["location"] == "/accounts/acme/receivers?notice=saved"
    assert api.accounts.lists_of("acme")[LIST].numbers == (POOL,)
    assert POOL not in (await api.page("/receivers")).text


async def test_the_page_says_why_a_receiver_is_not_added(api: Api) -> None:
    api.sign_in(Role.ADMIN)
    api.accounts.put(ListConfig(account="acme", number="+18005550007", numbers=("+18885550111",)))
    fields = {"receiver": "+18885550111", "kind": "address", "provider": "twilio", "list_number": LIST}
    answer = await api.form("/receivers", **fields)
    assert answer.status_code == 422
    assert "+18005550007" in answer.text


async def test_who_is_no_admin_sees_them_and_changes_nothing(api: Api) -> None:
    api.sign_in(Role.SUPPORT)
    shown = (await api.page("/receivers")).text
    assert POOL in shown
    assert "Belongs to" not in shown
    fields = {"receiver": POOL, "kind": "address", "provider": "twilio", "list_number": LIST}
    assert (await api.form("/receivers", **fields)).status_code == 403


def test_without_an_account_those_of_all_are_listed(api: Api) -> None:
    lists = Lists.of({LIST: ListConfig(account="acme", number=LIST)})
    with api.engine.connect() as connection:
        found = receivers_of_no_list(connection, None, 0, lambda account: lists)
    assert {each.account for each in found} == {"acme", "other"}


def test_the_setting_is_toml_whatever_the_receiver() -> None:
    assert json.loads(setting_of("twilio", "address", 'a"b').removeprefix("senders = ")) == ['a"b']


def test_the_command_lists_them_with_the_setting(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trackly.asking.open_engine", lambda *_args, **_options: api.engine)
    monkeypatch.setattr(api.engine, "dispose", lambda: None)
    monkeypatch.setattr("trackly.commands.providers.receivers.current_accounts", lambda: api.accounts)

    api.accounts.put(AccountConfig(id="quiet", name="Quiet"))

    def said(*options: str, code: str = "0") -> str:
        monkeypatch.setattr("sys.argv", ["trackly", "providers", "receivers", *options])
        with pytest.raises(SystemExit, match=code):
            main()
        return "".join(capsys.readouterr())

    shown = said("--account", "acme")
    assert f'numbers = ["{POOL}"]' in shown
    assert "removes from every list" in shown
    assert "+18005550199" in said()
    lines = [json.loads(line) for line in said("--account", "acme", "--json").splitlines()]
    assert [(each["receiver"], each["kind"], each["replies"]) for each in lines] == [
        (POOL, "address", 5),
        ("1221", "list_id", 1),
        ("acme_agent", "address", 0),
    ]
    assert "Every receiver seen belongs to a list." in said("--account", "quiet")
    assert "There is no account 'nobody'." in said("--account", "nobody", code="1")
