"""A user of one account never sees another's: every page is tried by a stranger, and with too low a role."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.routing import APIRoute

from console.pages.app import ROUTERS
from console.principals import Role
from tests.unit.console.console_parts import Api

OWN = {"/", "/go", "/new-account"}
"""Pages that belong to no account."""

VALUES = {"account": "acme", "provider": "infobip", "provider_message_id": "ib-1", "number": "+15551230001"}
VALUES |= {
    "key_id": "key_1",
    "user_id": "1",
    "topic": "sms.raw",
    "partition": "0",
    "offset": "0",
    "attempt_id": "1",
    "endpoint": "crm",
    "replay_id": "rpl_1",
    "list_number": "+18005551234",
}
"""What stands for the parameters of paths."""

ROUTES = [
    (method, route.path_format)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and route.path not in OWN
    for method in sorted(route.methods or ())
]


@pytest.fixture
def api() -> Api:
    return Api()


async def visit(api: Api, method: str, path: str, **options: Any) -> int:
    return (await api.request(method, path.format(**VALUES), key="", **options)).status_code


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_page_names_its_account(method: str, path: str) -> None:
    assert path.startswith("/accounts/{account}")


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_stranger_finds_no_page(api: Api, method: str, path: str) -> None:
    api.sign_in(Role.ADMIN, "other")
    own = {"data": {"csrf": "token"}, "headers": {"sec-fetch-site": "same-origin"}} if method != "GET" else {}
    assert await visit(api, method, path, **own) == 404
    assert not api.written.entries


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_nobody_sees_a_page_without_signing_in(api: Api, method: str, path: str) -> None:
    assert await visit(api, method, path) in (303, 403)
    assert not api.written.entries


async def test_the_way_in_leads_to_an_account_that_one_may_see(api: Api) -> None:
    api.sign_in(Role.VIEWER, "other")
    answer = await api.request("GET", "/", key="")
    assert answer.headers["location"] == "/accounts/other"
    assert (await api.request("GET", "/go?account=acme", key="")).status_code == 404
