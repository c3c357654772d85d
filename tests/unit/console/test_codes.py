"""Failure codes with their counts, from the read model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bus.clock import now_ms
from console.principals import Role
from console.queries.codes import Code, codes_of_failures
from database.tables import receipts
from schemas.records import AuditEntry
from tests.unit.console.console_parts import Api, refusal
from tests.unit.console.rows import NOW, receipt
from trackly.cli import main


def failed(nth: int, provider: str = "twilio", code: str | None = "30299", **changes: Any) -> dict[str, Any]:
    return receipt(
        nth,
        **{
            "provider": provider,
            "status": "undeliverable",
            "status_detail": "UNDELIVERED",
            "status_class": "transient",
            "provider_status": "undelivered",
            "provider_code": code,
            **changes,
        },
    )


def found(api: Api, account: str | None, since: int = 0) -> list[Code]:
    with api.engine.connect() as connection:
        return codes_of_failures(connection, account, since)


def test_unknown_codes_come_first_with_how_often_each_came() -> None:
    api = Api()
    api.put(
        receipts,
        *(failed(nth) for nth in (1, 2, 3)),
        *(failed(nth, code="30003", status_detail="REJECTED_ABSENT_SUBSCRIBER") for nth in range(4, 9)),
        failed(9, "infobip", "2,9/9999", provider_status="UNDELIVERABLE_NOT_DELIVERED"),
        failed(10, account="other"),
        receipt(11),
        failed(12, status="pending"),
    )
    assert [(each.code, each.is_known, each.failures) for each in found(api, "acme")] == [
        ("twilio 30299", False, 3),
        ("infobip 9999", False, 1),
        ("twilio 30003", True, 5),
    ]
    assert found(api, "acme")[0].last_at == NOW + 3_000
    assert [each.account for each in found(api, None)] == ["acme", "acme", "other", "acme"]
    assert [each.failures for each in found(api, "acme", since=NOW + 3_000)] == [1, 1, 5]


def test_a_class_that_an_account_gave_stands_beside_the_one_before() -> None:
    api = Api()
    api.put(receipts, failed(1), failed(2, status_class="neutral"))
    assert {(each.code, each.status_class, each.failures) for each in found(api, "acme")} == {
        ("twilio 30299", "transient", 1),
        ("twilio 30299", "neutral", 1),
    }


def test_the_command_shows_the_codes_that_no_table_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Api()
    api.put(receipts, failed(1), failed(2), failed(3, code="30003", account="other"))
    monkeypatch.setattr("trackly.asking.open_engine", lambda *_args, **_options: api.engine)
    monkeypatch.setattr(api.engine, "dispose", lambda: None)

    def said(*options: str) -> str:
        monkeypatch.setattr("sys.argv", ["trackly", "providers", "codes", "--since", "3650d", *options])
        with pytest.raises(SystemExit, match="0"):
            main()
        return "".join(capsys.readouterr())

    shown = said()
    assert "twilio 30299" in shown
    assert "30003" not in shown
    assert 'codes = { "twilio 30299" = "neutral" }' in shown
    assert "30003" in said("--all")
    assert "30003" not in said("--all", "--account", "acme")
    assert "Every failure had a known code." in said("--account", "other")
    assert json.loads(said("--json")) == {
        "account": "acme",
        "code": "twilio 30299",
        "detail": "UNDELIVERED",
        "class": "transient",
        "known": False,
        "failures": 2,
        "last_at": json.loads(said("--json"))["last_at"],
    }


async def listed(api: Api, **parameters: str) -> dict[str, Any]:
    answer = await api.get("/api/codes", params={"since": "3650d", **parameters})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def test_the_api_lists_codes_that_no_table_has_and_all_of_them_if_asked() -> None:
    api = Api()
    api.put(receipts, failed(1), failed(2, code="30003", status_detail="REJECTED_ABSENT_SUBSCRIBER"))
    assert [each["code"] for each in (await listed(api))["data"]] == ["twilio 30299"]
    assert [each["code"] for each in (await listed(api, known="true"))["data"]] == ["twilio 30299", "twilio 30003"]
    assert refusal(await api.get("/api/codes", params={"since": "x"})) == (422, "validation_failed")


async def test_an_account_gives_a_code_another_class_which_is_written_to_the_audit_log() -> None:
    api = Api()
    for status_class, own in (("neutral", {"twilio 30500": "neutral"}), (None, {})):
        body = {"code": "twilio 30500", "status_class": status_class}
        answer = await api.request("PUT", "/api/codes", json=body)
        assert (answer.status_code, answer.json()) == (200, body)
        assert (await listed(api))["own"] == api.accounts.accounts["acme"].code_classes == own
    audit = [entry for entry in api.written.records("audit") if isinstance(entry, AuditEntry)]
    assert [entry.action for entry in audit] == ["account.codes", "account.codes"]
    assert json.loads(audit[0].details)["twilio 30500"] == [None, "neutral"]


@pytest.mark.parametrize(
    ("code", "status_class", "field"),
    [
        ("30500", "neutral", "code"),
        ("nobody 1", "neutral", "code"),
        ("twilio 30500", "harmless", "status_class"),
    ],
)
async def test_what_is_no_code_or_no_class_is_refused(code: str, status_class: str, field: str) -> None:
    api = Api()
    answer = await api.request("PUT", "/api/codes", json={"code": code, "status_class": status_class})
    assert refusal(answer) == (422, "validation_failed")
    assert answer.json()["message"].startswith(f"{field}:")
    assert not api.written.entries


async def test_the_page_shows_the_line_and_lets_admins_set_it() -> None:
    api = Api()
    api.put(receipts, failed(1, received_at=now_ms()))
    api.sign_in(Role.ADMIN)
    assert "codes = { &#34;twilio 30299&#34; = &#34;neutral&#34; }" in (await api.page("/codes")).text
    answer = await api.form("/codes", code="twilio 30299", status_class="invalid")
    assert answer.headers["location"] == "/accounts/acme/codes?notice=saved"
    assert api.accounts.accounts["acme"].code_classes == {"twilio 30299": "invalid"}
    assert "own classes" in (await api.page("/codes")).text
    await api.form("/codes", code="twilio 30299", status_class="default")
    assert not api.accounts.accounts["acme"].code_classes
    assert (await api.form("/codes", code="30299", status_class="invalid")).status_code == 422


async def test_who_is_no_admin_sees_codes_and_sets_none() -> None:
    api = Api()
    api.put(receipts, failed(1, received_at=now_ms()))
    api.sign_in(Role.VIEWER)
    shown = (await api.page("/codes")).text
    assert "twilio 30299" in shown
    assert "status_class" not in shown
    assert (await api.form("/codes", code="twilio 30299", status_class="invalid")).status_code == 403
