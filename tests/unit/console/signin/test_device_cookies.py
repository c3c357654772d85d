"""Guessing cannot lock out an address's owner: a browser that signed in before is recognized by its cookie."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx
import pytest

from bus.clock import now_ms
from console.principals import Role
from console.signin import devices, passwords
from console.signin.lockout import FORGOTTEN_MS, FREE_OF_BOTH, Locked, count_try, counter_of_device, counters_of
from console.signin.users import User, add_user, change, user_by_email
from database.tables import sign_in_failures
from tests.unit.console.console_parts import Api

EMAIL, PASSWORD = "ann@example.com", "a long enough sentence"
OURS = {"sec-fetch-site": "same-origin"}
NOW = 1_795_000_000_000


@pytest.fixture
def api() -> Api:
    api = Api()
    with api.engine.begin() as connection:
        for email in (EMAIL, "bob@example.com"):
            user = add_user(connection, email, "", {"acme": Role.ADMIN})
            change(connection, user.id, password=passwords.hash_of(PASSWORD))
    return api


async def post(api: Api, path: str, cookie: str = "", **fields: str) -> httpx.Response:
    return await api.request("POST", path, key="", headers={**OURS, "cookie": cookie}, data=fields)


async def sign_in(api: Api, cookie: str = "", email: str = EMAIL, password: str = PASSWORD) -> httpx.Response:
    return await post(api, "/sign-in", cookie, email=email, password=password)


def cookies(answer: httpx.Response) -> list[str]:
    return answer.headers.get_list("set-cookie")


def device_cookie(answer: httpx.Response) -> str:
    (header,) = [each for each in cookies(answer) if "-device-" in each]
    return header.partition(";")[0]


def user_of(api: Api, email: str = EMAIL) -> User:
    with api.engine.begin() as connection:
        user = user_by_email(connection, email)
    assert user is not None
    return user


def attack(api: Api, addresses: int = 40) -> None:
    """Let many addresses try repeatedly, each as often as it may, until now."""
    clients = [counters_of(EMAIL, f"198.51.{number}.7") for number in range(addresses)]
    failures = {counter.key: 50 for client in clients for counter in (client.both, client.client, client.newcomer)}
    failures[clients[0].address.key] = 1_000
    rows = [{"key": key, "failures": count, "last_at": now_ms()} for key, count in failures.items()]
    with api.engine.begin() as connection:
        connection.execute(sign_in_failures.insert(), rows)


async def test_a_browser_that_signed_in_before_is_not_held_up_by_others(api: Api) -> None:
    known = device_cookie(await sign_in(api))
    attack(api)
    await sign_in(api, password="wrong wrong wrong")  # what a newcomer has
    assert (await sign_in(api)).status_code == 429
    assert [(await sign_in(api, known)).status_code for _ in range(3)] == [303, 303, 303]


async def test_nor_is_whoever_comes_from_a_network_for_the_first_time_that_day(api: Api) -> None:
    attack(api)
    assert (await sign_in(api)).status_code == 303


async def test_a_network_has_one_such_try_a_day(api: Api) -> None:
    attack(api)
    near, far = counters_of(EMAIL, "203.0.113.77"), counters_of(EMAIL, "203.0.114.9")
    with api.engine.begin() as connection:
        count_try(connection, counters_of(EMAIL, "203.0.113.9"), now_ms())
        with pytest.raises(Locked):
            count_try(connection, near, now_ms())
        count_try(connection, far, now_ms())
        with pytest.raises(Locked):
            count_try(connection, far, now_ms())
        count_try(connection, far, now_ms() + FORGOTTEN_MS)


def test_whoever_has_many_ipv6_networks_has_no_more_of_them() -> None:
    assert counters_of(EMAIL, "2001:db8:1:2::1").newcomer == counters_of(EMAIL, "2001:db8:1:ff::1").newcomer


async def test_its_own_failures_hold_it_up_and_nobody_else(api: Api) -> None:
    known = device_cookie(await sign_in(api))
    for _ in range(FREE_OF_BOTH):
        assert (await sign_in(api, known, password="wrong wrong wrong")).status_code == 422
    assert (await sign_in(api, known)).status_code == 429
    assert (await sign_in(api)).status_code == 303


async def test_its_success_does_not_forgive_what_others_did(api: Api) -> None:
    known = device_cookie(await sign_in(api))
    attack(api)
    await sign_in(api, known)
    await sign_in(api, password="wrong wrong wrong")
    assert (await sign_in(api)).status_code == 429


async def test_the_cookie_is_of_one_user(api: Api) -> None:
    name, _, value = device_cookie(await sign_in(api)).partition("=")
    other_name = devices.cookie_name("bob@example.com", secure=False)
    assert name != other_name
    assert devices.device_of(value, user_of(api), now_ms()) is not None
    assert devices.device_of(value, user_of(api, "bob@example.com"), now_ms()) is None


async def test_the_cookie_is_guarded_as_that_of_the_session_is(api: Api) -> None:
    for header in cookies(await sign_in(api)):
        assert re.fullmatch(r"trackly\S*=\S+; HttpOnly; Max-Age=\d+; Path=/; SameSite=lax", header)


async def test_behind_tls_browsers_send_it_by_https_alone() -> None:
    api = Api(console_url="https://console.example.com")
    with api.engine.begin() as connection:
        user = add_user(connection, EMAIL, "", {"acme": Role.ADMIN})
        change(connection, user.id, password=passwords.hash_of(PASSWORD))
    answer = await sign_in(api)
    assert len(cookies(answer)) == 2
    for header in cookies(answer):
        assert re.fullmatch(r"__Host-trackly\S*=\S+; HttpOnly; Max-Age=\d+; Path=/; SameSite=lax; Secure", header)


@pytest.mark.parametrize(
    "forged", ["", ".", "..", "x.1795000000000.y", "é.1.é", "x.²." + "0" * 64, "x." + "9" * 5_000 + ".y"]
)
def test_what_is_no_device_cookie_is_none(api: Api, forged: str) -> None:
    assert devices.device_of(forged, user_of(api), NOW) is None


def test_a_cookie_that_was_changed_is_none(api: Api) -> None:
    user = user_of(api)
    device, since, signature = devices.value_of(user, "device", NOW).split(".")
    assert devices.device_of(f"{device}.{since}.{signature}", user, NOW) == "device"
    for changed in (
        f"other.{since}.{signature}",
        f"{device}.{int(since) + 1}.{signature}",
        f"{device}.{since}.{'0' * 64}",
    ):
        assert devices.device_of(changed, user, NOW) is None


def test_it_is_valid_for_half_a_year_and_until_the_password_is_another(api: Api) -> None:
    user = user_of(api)
    value = devices.value_of(user, "device", NOW)
    assert devices.device_of(value, user, NOW + devices.VALID_MS - 1) == "device"
    assert devices.device_of(value, user, NOW + devices.VALID_MS) is None
    assert devices.device_of(value, replace(user, password=passwords.hash_of(PASSWORD)), NOW) is None
    assert devices.device_of(value, replace(user, password=None), NOW) is None
    assert devices.device_of(value, None, NOW) is None


async def test_who_changes_the_password_stays_known(api: Api) -> None:
    answer = await sign_in(api)
    old, session = device_cookie(answer), cookies(answer)[0].partition(";")[0]
    form = (await api.request("GET", "/me", key="", headers={"cookie": session})).text
    csrf = form.partition('name="csrf" value="')[2].partition('"')[0]
    changed = await post(api, "/me/password", session, csrf=csrf, present=PASSWORD, password="another long sentence")
    new = device_cookie(changed)
    values = [each.partition("=")[2] for each in (old, new)]
    assert [devices.device_of(value, user_of(api), now_ms()) is not None for value in values] == [False, True]


def test_two_devices_are_counted_apart() -> None:
    assert counter_of_device("one") != counter_of_device("two")
