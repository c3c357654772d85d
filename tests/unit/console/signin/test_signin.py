"""Signing in: links that work once, passwords, sessions, lockout, and forms from other sites."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from bus.clock import now_ms
from console.principals import EVERY_ACCOUNT, Role
from console.signin import passwords, sessions
from console.signin.first import first_link, leave_first_link
from console.signin.links import new_link
from console.signin.lockout import (
    FREE_OF_ADDRESS,
    FREE_OF_BOTH,
    LONGEST_OF_ADDRESS,
    WAITS,
    Locked,
    count_try,
    counters_of,
    wait_after,
)
from console.signin.users import add_user, all_users, change, disable, user_by_email
from database.tables import SIGN_IN
from schemas.records import AuditEntry
from tests.unit.console.console_parts import Api

EMAIL, PASSWORD = "ann@example.com", "a long enough sentence"
OURS = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def api() -> Api:
    api = Api()
    with api.engine.begin() as connection:
        user = add_user(connection, EMAIL, "Ann", {"acme": Role.ADMIN})
        change(connection, user.id, password=passwords.hash_of(PASSWORD))
    return api


async def post(api: Api, path: str, *, cookie: str = "", headers: dict[str, str] = OURS, **data: Any) -> httpx.Response:
    return await api.request("POST", path, key="", headers={**headers, "cookie": cookie}, data=data)


async def sign_in(api: Api, **changes: Any) -> httpx.Response:
    return await post(api, "/sign-in", **{"email": EMAIL, "password": PASSWORD, **changes})


async def signed_in(api: Api) -> str:
    """The cookie of a new session."""
    answer = await sign_in(api)
    assert answer.status_code == 303, answer.text
    return answer.headers["set-cookie"].partition(";")[0]


async def shown(api: Api, cookie: str, path: str = "/accounts/acme/deliveries") -> int:
    return (await api.request("GET", path, key="", headers={"cookie": cookie})).status_code


def audited(api: Api) -> list[tuple[str, str, str]]:
    entries = [each for each in api.written.records("audit") if isinstance(each, AuditEntry)]
    return [(each.actor, each.action, each.outcome) for each in entries]


async def test_a_password_opens_the_pages_of_ones_accounts(api: Api) -> None:
    cookie = await signed_in(api)
    assert await shown(api, cookie) == 200
    assert await shown(api, cookie, "/accounts/other/deliveries") == 404
    assert audited(api) == [(f"user:{EMAIL}", "sign-in", "done")]


async def test_the_cookie_is_for_this_host_alone_and_for_no_script(api: Api) -> None:
    header = (await sign_in(api)).headers["set-cookie"].lower()
    assert "httponly" in header
    assert "samesite=lax" in header
    assert sessions.cookie_name(secure=True).startswith("__Host-")


@pytest.mark.parametrize(
    "changes",
    [{"password": "another long sentence"}, {"email": "nobody@example.com"}, {"email": "nonsense"}, {"password": ""}],
)
async def test_whatever_is_wrong_is_answered_the_same(api: Api, changes: dict[str, str]) -> None:
    answer = await sign_in(api, **changes)
    assert answer.status_code == 422
    assert "The email address or the password is wrong." in answer.text
    assert "set-cookie" not in answer.headers
    assert audited(api) == [("nobody", "sign-in", "refused")]


async def test_the_admins_of_an_account_see_who_signed_in_and_who_failed(api: Api) -> None:
    with api.engine.begin() as connection:
        add_user(connection, "bob@example.com", "", {"acme": Role.VIEWER, "other": Role.VIEWER})
    await sign_in(api)
    for email in ("bob@example.com", "nobody@example.com", "nonsense"):
        await sign_in(api, email=email)
    entries = [each for each in api.written.records("audit") if isinstance(each, AuditEntry)]
    assert [(each.account, each.object, each.outcome) for each in entries] == [
        ("acme", EMAIL, "done"),
        ("acme", "bob@example.com", "refused"),
        ("other", "bob@example.com", "refused"),
        ("", "nobody@example.com", "refused"),
        ("", "nonsense", "refused"),
    ]


async def test_guessing_is_slowed_down_also_for_the_right_password(api: Api) -> None:
    for _ in range(FREE_OF_BOTH):
        await sign_in(api, password="wrong wrong wrong")
    answer = await sign_in(api)
    assert answer.status_code == 429
    assert "Try again in" in answer.text


async def change_password(api: Api, cookie: str, present: str) -> httpx.Response:
    form = (await api.request("GET", "/me", key="", headers={"cookie": cookie})).text
    csrf = form.partition('name="csrf" value="')[2].partition('"')[0]
    fields = {"csrf": csrf, "present": present, "password": "another long sentence"}
    return await post(api, "/me/password", cookie=cookie, **fields)


async def test_the_present_password_changes_the_password_and_ends_other_sessions(api: Api) -> None:
    other, cookie = await signed_in(api), await signed_in(api)
    with api.engine.begin() as connection:
        link = new_link(connection, 1, now_ms())
    assert (await change_password(api, cookie, PASSWORD)).status_code == 303
    assert (await api.request("GET", f"/welcome/{link}", key="")).status_code == 404
    assert (await shown(api, cookie), await shown(api, other)) == (200, 303)
    assert (await sign_in(api)).status_code == 422
    assert (await sign_in(api, password="another long sentence")).status_code == 303


async def test_whoever_has_a_session_guesses_the_password_no_faster_than_at_the_sign_in(api: Api) -> None:
    cookie = await signed_in(api)
    for _ in range(FREE_OF_BOTH):
        assert (await change_password(api, cookie, "wrong wrong wrong")).status_code == 422
    answer = await change_password(api, cookie, PASSWORD)
    assert answer.status_code == 429
    assert "Try again in" in answer.text
    assert (await sign_in(api)).status_code == 429
    assert audited(api)[-1] == (f"user:{EMAIL}", "password.change", "refused")


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0), (4, 0), (5, WAITS[0]), (6, WAITS[1]), (1_000, WAITS[-1])])
def test_waits_grow_up_to_a_quarter_of_an_hour(failures: int, seconds: int) -> None:
    assert wait_after(failures, counters_of(EMAIL, "203.0.113.9").both) == seconds


def test_an_address_is_never_locked_for_long_by_tries_from_elsewhere() -> None:
    api = Api()
    ours, others = (counters_of(EMAIL, ip) for ip in ("203.0.113.9", "198.51.100.7"))
    assert wait_after(1_000, others.address) == LONGEST_OF_ADDRESS
    now = 0
    with api.engine.begin() as connection:
        for _ in range(FREE_OF_ADDRESS + len(WAITS)):
            now += WAITS[-1] * 1_000
            count_try(connection, others, now)
        with pytest.raises(Locked, match="in 900 s"):
            count_try(connection, others, now)
        count_try(connection, ours, now)  # the first try of the day from there
        with pytest.raises(Locked, match=f"in {LONGEST_OF_ADDRESS} s"):
            count_try(connection, ours, now)
        count_try(connection, ours, now + LONGEST_OF_ADDRESS * 1_000)


async def test_a_disabled_user_is_out_at_once(api: Api) -> None:
    cookie = await signed_in(api)
    with api.engine.begin() as connection:
        user = user_by_email(connection, EMAIL)
        assert user is not None
        disable(connection, user.id, 1)
    assert await shown(api, cookie) == 303
    assert (await sign_in(api)).status_code == 422


async def test_signing_out_ends_the_session(api: Api) -> None:
    cookie = await signed_in(api)
    form = (await api.request("GET", "/me", key="", headers={"cookie": cookie})).text
    csrf = form.partition('name="csrf" value="')[2].partition('"')[0]
    assert (await post(api, "/sign-out", cookie=cookie, csrf=csrf)).status_code == 303
    assert await shown(api, cookie) == 303


@pytest.mark.parametrize(("seen", "created"), [(sessions.IDLE_MS, 0), (0, sessions.ABSOLUTE_MS)])
async def test_a_session_ends_by_itself(api: Api, seen: int, created: int) -> None:
    with api.engine.begin() as connection:
        user = user_by_email(connection, EMAIL)
        assert user is not None
        token = sessions.start(connection, user.id, 0)
        assert sessions.find(connection, token, max(seen, created) - 1) is not None or created
        assert sessions.find(connection, token, max(seen, created)) is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
        ({"origin": "http://console"}, 303),
        ({"sec-fetch-site": "same-origin"}, 303),
    ],
)
async def test_a_form_of_another_site_is_refused(api: Api, headers: dict[str, str], status: int) -> None:
    assert (await sign_in(api, headers=headers)).status_code == status


@pytest.mark.parametrize("csrf", ["", "x", "token"])
async def test_a_form_without_the_token_of_its_session_is_refused(api: Api, csrf: str) -> None:
    cookie = await signed_in(api)
    assert (await post(api, "/sign-out", cookie=cookie, csrf=csrf)).status_code == 403
    assert await shown(api, cookie) == 200


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", ""])
async def test_signing_in_leads_nowhere_else(api: Api, target: str) -> None:
    assert (await sign_in(api, next=target)).headers["location"] == "/"


async def test_a_link_sets_the_password_once(api: Api) -> None:
    with api.engine.begin() as connection:
        user = add_user(connection, "bob@example.com", "Bob", {"acme": Role.VIEWER})
        path = f"/welcome/{new_link(connection, user.id, now_ms())}"
    assert "bob@example.com" in (await api.request("GET", path, key="")).text
    assert (await post(api, path, password="short")).status_code == 422
    assert (await post(api, path, password=PASSWORD)).status_code == 303
    assert (await post(api, path, password=PASSWORD)).status_code == 404
    assert (await api.request("GET", path, key="")).status_code == 404
    assert (await sign_in(api, email="bob@example.com")).status_code == 303


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("elevenchars", "12 to 1,000 characters"),
        ("ann@example.com", "must not be your email address"),
        ("aaaaaaaaaaaaaaaa", "different characters"),
        (PASSWORD, None),
    ],
)
def test_a_password_is_long_and_not_the_address(password: str, problem: str | None) -> None:
    found = passwords.problem_of(password, EMAIL)
    assert (problem in found) if problem and found else found is problem


def test_the_first_admin_gets_a_link_until_somebody_has_signed_in() -> None:
    api = Api()
    with api.engine.begin() as connection:
        first = first_link(connection, 1)
        again = first_link(connection, 2)
        assert first is not None
        assert again not in (None, first)
        (user,) = all_users(connection)
        assert user.grants == {EVERY_ACCOUNT: Role.ADMIN}
        change(connection, user.id, password=passwords.hash_of(PASSWORD))
        assert first_link(connection, 3) is None


def test_that_link_lies_in_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    api = Api()
    file = leave_first_link(api.engine, tmp_path, "https://console.example.com", 1)
    assert file is not None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert re.fullmatch(r"https://console\.example\.com/welcome/\S+\n", file.read_text())
    with api.engine.begin() as connection:
        change(connection, all_users(connection)[0].id, password=passwords.hash_of(PASSWORD))
    assert leave_first_link(api.engine, tmp_path, "https://console.example.com", 2) is None
    assert not file.exists()


async def test_a_user_may_use_the_api_from_a_page_and_from_nowhere_else(api: Api) -> None:
    cookie = await signed_in(api)
    assert (await api.request("GET", "/api/deliveries", key="", headers={"cookie": cookie})).status_code == 200
    body = {"list_number": "+18005551234", "numbers": ["+15551230001"]}
    answer = await api.request("POST", "/api/contacts/remove", key="", headers={"cookie": cookie, **OURS}, json=body)
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/sign-in", "/accounts/acme/deliveries", "/api/openapi.json", "/nothing"])
async def test_every_answer_tells_the_browser_what_to_refuse(api: Api, path: str) -> None:
    api.sign_in(Role.VIEWER)
    headers = (await api.request("GET", path, key="")).headers
    assert headers["content-security-policy"].startswith("default-src 'self'; object-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


async def test_no_secret_of_signing_in_is_stored_as_it_is(api: Api) -> None:
    cookie = await signed_in(api)
    with api.engine.connect() as connection:
        dump = str([connection.execute(select(table)).all() for table in SIGN_IN])
    assert cookie.partition("=")[2] not in dump
    assert PASSWORD not in dump
