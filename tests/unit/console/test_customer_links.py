"""A customer's link opens one endpoint's page, once, and nothing else of the console."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import select

from console.pages import customer
from console.principals import Role
from console.signin import customers
from console.signin.secrets import digest_of
from database.tables import METADATA, attempts, customer_links, customer_sessions
from operations.replays import Order
from schemas.records import AuditEntry, ReplayCommand
from tests.unit.console.access.test_api_isolation import OF_THE_CALLER, OF_THE_INSTALLATION, REQUESTS
from tests.unit.console.console_parts import A_SECRET, Api, endpoint, refusal, rotating
from tests.unit.console.pages.test_page_isolation import ROUTES, VALUES
from tests.unit.console.rows import attempt

LINKS = "/api/endpoints/crm/customer-links"
BROWSER = {"sec-fetch-site": "same-origin"}
NOW = 1_795_000_000_000

OWN_ROUTES = [
    (method, route.path_format)
    for route in customer.router.routes
    if isinstance(route, APIRoute) and "/open/" not in route.path
    for method in sorted(route.methods or ())
]


OF_NO_ACCOUNT = [("GET", path) for path in ("/", "/go?account=acme", "/new-account", "/me")]


class Visit:
    """A browser that has opened a link."""

    def __init__(self, api: Api, cookie: str) -> None:
        self.api = api
        self.cookie = cookie
        self.token = cookie.partition("=")[2]
        self.csrf = customers.CustomerSession(customers.Link("", "", ""), self.token).csrf

    async def get(self, path: str = "/customer", **options: Any) -> Any:
        return await self.api.request("GET", path, key="", headers={"cookie": self.cookie}, **options)

    async def form(self, path: str, **fields: str) -> Any:
        headers = {"cookie": self.cookie, **BROWSER}
        return await self.api.request("POST", path, key="", headers=headers, data={"csrf": self.csrf, **fields})


@pytest.fixture
def api() -> Api:
    api = Api()
    api.accounts.put(endpoint(id="shop", description="of the shop"))
    api.accounts.put(endpoint(account="other"))
    return api


async def link(api: Api, path: str = LINKS, **body: int) -> str:
    """Path of a new link."""
    made = await api.post(path, json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["url"]).removeprefix(api.settings.address)


async def use(api: Api, path: str) -> Any:
    return await api.request("POST", path, key="", headers=BROWSER)


async def opened(api: Api, path: str = LINKS) -> Visit:
    answer = await use(api, await link(api, path))
    assert (answer.status_code, answer.headers["location"]) == (303, "/customer")
    return Visit(api, answer.headers["set-cookie"].partition(";")[0])


async def test_a_link_opens_once_and_looking_at_it_does_not_use_it_up(api: Api) -> None:
    path = await link(api)
    assert [(await api.request("GET", path, key="")).status_code for _ in range(2)] == [200, 200]
    assert [(await use(api, path)).status_code for _ in range(2)] == [303, 404]
    assert (await api.request("GET", path, key="")).status_code == 404


async def test_neither_a_link_nor_a_session_is_stored_as_it_is(api: Api) -> None:
    secret = (await link(api)).partition(".")[2]
    visit = await opened(api)
    with api.engine.connect() as connection:
        stored = repr([connection.execute(select(table)).all() for table in METADATA.tables.values()])
    assert secret not in stored
    assert digest_of(secret) in stored
    assert visit.token not in stored
    assert digest_of(visit.token) in stored


async def test_a_link_with_another_secret_or_of_nobody_opens_nothing(api: Api) -> None:
    path = await link(api)
    for wrong in (
        path[:-1] + ("A" if path[-1] != "A" else "B"),
        path.partition(".")[0],
        "/customer/open/lnk_1.x",
        path + ".",
    ):
        assert (await use(api, wrong)).status_code == 404
    assert (await use(api, path)).status_code == 303


async def test_a_link_that_is_too_old_opens_nothing(api: Api) -> None:
    with api.engine.begin() as connection:
        _, token = customers.new_link(connection, "acme", "crm", NOW, 1)
        assert customers.link_of(connection, token, NOW + customers.HOUR_MS - 1) is not None
        assert customers.use_link(connection, token, NOW + customers.HOUR_MS) is None


async def test_a_session_ends_when_nothing_is_asked_and_after_a_day(api: Api) -> None:
    with api.engine.begin() as connection:
        session = customers.use_link(connection, customers.new_link(connection, "acme", "crm", NOW, 1)[1], NOW)
        assert session is not None
        assert customers.find(connection, session.token, NOW + customers.IDLE_MS - 1) is not None
        assert customers.find(connection, session.token, NOW + customers.IDLE_MS) is None
        for hour in range(1, 24):
            customers.touch(connection, session.token, NOW + hour * customers.HOUR_MS)
        assert customers.find(connection, session.token, NOW + customers.ABSOLUTE_MS - 1) is not None
        assert customers.find(connection, session.token, NOW + customers.ABSOLUTE_MS) is None


@pytest.mark.parametrize("hours", [0, 169])
async def test_a_link_is_valid_for_a_week_at_most(api: Api, hours: int) -> None:
    assert refusal(await api.post(LINKS, json={"valid_hours": hours})) == (422, "validation_failed")


@pytest.mark.parametrize(("method", "path"), ROUTES + OF_NO_ACCOUNT)
async def test_a_customer_sees_no_page_of_the_console(api: Api, method: str, path: str) -> None:
    visit = await opened(api)
    written = len(api.written.entries)
    for cookie in (visit.cookie, f"trackly={visit.token}", f"__Host-trackly={visit.token}"):
        headers = {"cookie": cookie, **BROWSER}
        data = {"data": {"csrf": visit.csrf}} if method != "GET" else {}
        answer = await api.request(method, path.format(**VALUES), key="", headers=headers, **data)
        assert answer.status_code in (303, 403)
        if answer.status_code == 303:
            assert answer.headers["location"].startswith("/sign-in")
    assert len(api.written.entries) == written


@pytest.mark.parametrize(("method", "path"), sorted((REQUESTS | OF_THE_INSTALLATION).keys() | OF_THE_CALLER))
async def test_a_customer_reaches_nothing_of_the_api(api: Api, method: str, path: str) -> None:
    visit = await opened(api)
    written = len(api.written.entries)
    body = (REQUESTS | OF_THE_INSTALLATION).get((method, path))
    for cookie in (visit.cookie, f"trackly={visit.token}"):
        headers = {"cookie": cookie, "x-csrf-token": visit.csrf, **BROWSER}
        assert refusal(await api.request(method, path, key="", json=body, headers=headers)) == (401, "missing_api_key")
    assert refusal(await api.request(method, path, key=visit.token, json=body)) == (401, "invalid_api_key")
    assert len(api.written.entries) == written


@pytest.mark.parametrize(("method", "path"), OWN_ROUTES)
async def test_who_has_opened_no_link_sees_no_customer_s_page(api: Api, method: str, path: str) -> None:
    for headers in (BROWSER, BROWSER | {"cookie": "trackly-customer=x"}):
        answer = await api.request(method, path.format(attempt_id=1), key="", headers=headers, data={"csrf": "token"})
        assert answer.status_code == 404
    assert api.written.entries == []


@pytest.mark.parametrize(("method", "path"), [each for each in OWN_ROUTES if each[0] == "POST"])
async def test_a_form_without_the_session_s_token_does_nothing(api: Api, method: str, path: str) -> None:
    visit = await opened(api)
    written = len(api.written.entries)
    headers = {"cookie": visit.cookie, **BROWSER}
    for data in ({}, {"csrf": "token"}):
        assert (await api.request(method, path, key="", headers=headers, data=data)).status_code == 403
    assert len(api.written.entries) == written


async def test_a_customer_sees_the_attempts_of_its_endpoint_alone(api: Api) -> None:
    others = {"evt_2": {"endpoint": "shop"}, "evt_3": {"account": "other"}, "evt_4": {"endpoint": "crm2"}}
    api.put(attempts, attempt(1), *({**attempt(1), "event_id": name, **each} for name, each in others.items()))
    visit = await opened(api)
    shown = (await visit.get()).text
    assert "evt_1" in shown
    assert not any(name in shown for name in others)
    statuses = [(await visit.get(f"/customer/attempts/{nth}")).status_code for nth in (1, 2, 3, 4, 5)]
    assert statuses == [200, 404, 404, 404, 404]


async def test_a_customer_finds_its_failed_attempts_and_no_others_whatever_it_asks_for(api: Api) -> None:
    api.put(attempts, attempt(1), attempt(2, outcome="tls", status=None, error_class="tls"), attempt(3, endpoint="bi"))
    visit = await opened(api)
    for asked in ({"outcome": "5xx"}, {"outcome": "5xx", "endpoint": "bi", "account": "other"}):
        text = (await visit.get(params=asked)).text
        assert [name for name in ("evt_1", "evt_2", "evt_3") if name in text] == ["evt_1"]
    assert "Nothing matches these filters." in (await visit.get(params={"outcome": "timeout"})).text


async def test_nothing_of_the_account_s_other_endpoints_is_on_the_page(api: Api) -> None:
    command = Order("acme/shop", "dead").command("key:shop", 1)
    api.written.replays.put(command)
    shown = (await (await opened(api)).get()).text
    assert "crm" in shown
    assert not any(text in shown for text in ("shop", "acme", "/accounts"))
    assert A_SECRET.search(shown) is None


async def test_a_cursor_of_another_account_s_list_is_refused(api: Api) -> None:
    visit = await opened(api)
    for cursor in ("x", "x" * 5_000):
        assert (await visit.get(params={"cursor": cursor})).status_code == 422


async def test_a_customer_pauses_and_resumes_its_endpoint(api: Api) -> None:
    visit = await opened(api)
    assert (await visit.form("/customer/pause")).status_code == 303
    config = api.accounts.endpoints["acme/crm"]
    assert (config.enabled, config.paused_reason) == (False, "customer")
    assert (await visit.form("/customer/resume")).status_code == 303
    assert api.accounts.endpoints["acme/crm"].enabled
    assert api.accounts.endpoints["acme/shop"].enabled


@pytest.mark.parametrize("changes", [{"paused_reason": "operator", "paused_at": 1}, {}], ids=["paused", "disabled"])
async def test_a_customer_does_not_undo_what_an_operator_did(api: Api, changes: dict[str, Any]) -> None:
    api.accounts.put(endpoint(enabled=False, **changes))
    assert (await (await opened(api)).form("/customer/resume")).status_code == 409
    assert not api.accounts.endpoints["acme/crm"].enabled


async def test_a_customer_resumes_what_was_paused_for_its_failures(api: Api) -> None:
    api.accounts.put(endpoint(enabled=False, paused_reason="failing", paused_at=1))
    assert (await (await opened(api)).form("/customer/resume")).status_code == 303


async def test_a_customer_changes_its_secret_and_sees_the_new_one_once(api: Api) -> None:
    visit = await opened(api)
    assert A_SECRET.search((await visit.form("/customer/rotate", overlap="24")).text)
    assert api.accounts.endpoints["acme/crm"].secret_next is not None
    assert A_SECRET.search((await visit.get()).text) is None
    assert (await visit.form("/customer/activate")).status_code == 303
    assert api.accounts.endpoints["acme/crm"].secret_next is None


async def test_a_customer_sends_a_test(api: Api) -> None:
    answer = await (await opened(api)).form("/customer/test")
    assert answer.status_code == 200
    assert "refused_address" in answer.text or "This counts as a failure" in answer.text


async def test_a_customer_has_its_own_webhooks_sent_again_one_replay_at_a_time(api: Api) -> None:
    api.written.replays.put(Order("acme/shop", "dead").command("key:shop", 1))  # of somebody else, under way
    visit = await opened(api)
    assert (await visit.form("/customer/replay", outcome="dead", since="7d")).status_code == 303
    [command] = api.written.records("webhooks_replays")
    assert isinstance(command, ReplayCommand)
    assert (command.endpoint, command.outcome) == ("acme/crm", "dead")
    assert (await visit.form("/customer/replay")).status_code == 409


@pytest.mark.parametrize("fields", [{"outcome": "x"}, {"since": "9999d"}])
async def test_a_replay_of_what_is_not_offered_is_refused(api: Api, fields: dict[str, str]) -> None:
    assert (await (await opened(api)).form("/customer/replay", **fields)).status_code == 422
    assert api.written.records("webhooks_replays") == []


async def test_whoever_leaves_is_out(api: Api) -> None:
    visit = await opened(api)
    assert (await visit.form("/customer/leave")).status_code == 200
    assert (await visit.get()).status_code == 404


async def test_ending_links_ends_those_of_this_endpoint_and_its_sessions(api: Api) -> None:
    visit, other = await opened(api), await opened(api, "/api/endpoints/shop/customer-links")
    path = await link(api)
    assert (await api.request("DELETE", LINKS)).status_code == 204
    assert (await visit.get()).status_code == 404
    assert (await use(api, path)).status_code == 404
    assert (await other.get()).status_code == 200


async def test_a_deleted_endpoint_is_not_opened_when_another_gets_its_name(api: Api) -> None:
    visit, path = await opened(api), await link(api)
    assert (await api.request("DELETE", "/api/endpoints/crm")).status_code == 204
    assert (await visit.get()).status_code == 404
    api.accounts.put(endpoint())
    assert (await visit.get()).status_code == 404
    assert (await use(api, path)).status_code == 404


async def test_making_opening_and_using_a_link_is_in_the_audit_log_without_its_secret(api: Api) -> None:
    visit = await opened(api)
    await visit.form("/customer/pause")
    await api.request("DELETE", LINKS)
    entries = [entry for entry in api.written.records("audit") if isinstance(entry, AuditEntry)]
    assert [(entry.account, entry.action, entry.object) for entry in entries] == [
        ("acme", "customer.link", "endpoint crm"),
        ("acme", "customer.open", "endpoint crm"),
        ("acme", "endpoint.pause", "endpoint crm"),
        ("acme", "customer.end", "endpoint crm"),
    ]
    assert [entry.actor.partition("lnk_")[0] for entry in entries[1:3]] == ["customer:crm ("] * 2
    assert visit.token not in repr(entries)


async def test_a_link_is_not_made_where_it_cannot_be_written_down(api: Api) -> None:
    api.written.broken = True
    assert (await api.post(LINKS, json={})).status_code == 503
    with api.engine.connect() as connection:
        assert connection.execute(select(customer_links)).all() == []
        assert connection.execute(select(customer_sessions)).all() == []


async def test_no_page_can_be_framed_unless_it_is_set(api: Api) -> None:
    for path in ("/customer", "/sign-in"):
        answer = await api.request("GET", path, key="")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_a_customer_s_page_can_be_framed_by_origins_that_are_set_and_no_other_page_can() -> None:
    api = Api(console_url="https://console.example.com", embed_origins="https://app.example.com, https://b.example")
    for path, framed in (("/customer", True), ("/customer/open/x", True), ("/customers", False), ("/sign-in", False)):
        policy = (await api.request("GET", path, key="")).headers["content-security-policy"]
        assert ("frame-ancestors https://app.example.com https://b.example;" in policy) is framed
        assert ("frame-ancestors 'none'" in policy) is not framed
    answer = await use(api, await link(api))
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-trackly-customer=")
    assert all(part in cookie for part in ("; Secure", "; HttpOnly", "; SameSite=None", "; Partitioned", "; Path=/"))


async def test_without_frames_the_cookie_stays_with_this_site(api: Api) -> None:
    cookie = (await use(api, await link(api))).headers["set-cookie"]
    assert "; SameSite=Lax" in cookie
    assert "; HttpOnly" in cookie


@pytest.mark.parametrize(
    "settings",
    [
        {"embed_origins": "https://app.example.com"},
        {"embed_origins": "http://app.example.com", "console_url": "https://c.example"},
        {"embed_origins": "*", "console_url": "https://c.example"},
        {"embed_origins": "https://a.example; script-src *", "console_url": "https://c.example"},
    ],
)
def test_origins_that_cannot_be_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"EMBED|origin"):
        Api(**settings)


async def test_the_page_of_an_endpoint_makes_a_link_and_ends_links(api: Api) -> None:
    api.sign_in(Role.ADMIN)
    shown = (await api.form("/webhooks/crm/customer-link", hours="1")).text
    assert "/customer/open/lnk_" in shown
    assert (await api.form("/webhooks/crm/customer-links/end")).status_code == 303
    with api.engine.connect() as connection:
        assert connection.execute(select(customer_links)).all() == []


async def test_a_rotation_under_way_is_shown_to_the_customer(api: Api) -> None:
    api.accounts.put(rotating())
    assert "Both sign until" in (await (await opened(api)).get()).text


async def test_a_customer_sends_so_many_forms_and_then_waits(api: Api) -> None:
    visit = await opened(api)
    statuses = [(await visit.form("/customer/pause")).status_code for _ in range(customer.FORMS_AT_ONCE + 2)]
    assert statuses[: customer.FORMS_AT_ONCE] == [303] * customer.FORMS_AT_ONCE
    assert statuses[-1] == 429
    assert (await visit.get()).status_code == 200
    assert (await (await opened(api)).form("/customer/pause")).status_code == 303
