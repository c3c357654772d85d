"""An order for a contact that is already in that state says that it changes nothing."""

from __future__ import annotations

import json

import pytest

from console.principals import Role
from schemas.records import AuditEntry
from tests.unit.console.console_parts import LIST, NUMBER, Api

OTHER = "+15551230099"


@pytest.fixture
def api() -> Api:
    return Api()


async def ordered(api: Api, command: str, **body: object) -> list[str]:
    """The numbers for which an order about two of them changes nothing."""
    answer = await api.post(f"/api/contacts/{command}", json={"list_number": LIST, "numbers": [NUMBER, OTHER], **body})
    assert answer.status_code == 202, answer.text
    unchanged: list[str] = answer.json()["unchanged"]
    return unchanged


@pytest.mark.parametrize(
    ("known", "reason", "unchanged"),
    [
        ("manual", "manual", True),
        ("complaint", "manual", True),
        ("bad_response", "manual", False),
        ("manual", "complaint", False),
        ("complaint", "complaint", True),
    ],
)
async def test_a_removal_of_a_contact_that_is_out_for_a_reason_as_strong(
    api: Api, known: str, reason: str, unchanged: bool
) -> None:
    api.contact(active=False, reason=known)
    assert await ordered(api, "remove", reason=reason) == ([NUMBER] if unchanged else [])


async def test_a_restore_of_contacts_that_are_active(api: Api) -> None:
    api.contact(active=False, reason="message")
    assert await ordered(api, "restore") == [OTHER]


async def test_a_restore_that_clears_failures_changes_something(api: Api) -> None:
    api.contact(active=True, failures=2)
    assert await ordered(api, "restore") == [OTHER]


async def test_the_audit_log_has_how_many(api: Api) -> None:
    api.contact(active=False, reason="message")
    await ordered(api, "restore")
    [entry] = [record for record in api.written.records("audit") if isinstance(record, AuditEntry)]
    assert json.loads(entry.details)["unchanged"] == 1


async def test_the_page_says_so(api: Api) -> None:
    api.sign_in(Role.SUPPORT)
    answer = await api.form(f"/contacts/{NUMBER}/remove", list_number=LIST, reason="manual")
    assert "notice=ordered" in answer.headers["location"]
    api.contact(active=False, reason="manual")
    answer = await api.form(f"/contacts/{NUMBER}/remove", list_number=LIST, reason="manual")
    assert "notice=unchanged" in answer.headers["location"]
