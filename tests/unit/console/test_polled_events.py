"""Polled events: cursors, what an endpoint gets, and whose key may poll."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.urls import POLL
from console.principals import Role
from console.queries.paging import BadCursor
from console.queries.polled_events import MAX_CURSOR, Cursor, begin_of, may_hold, polled, topics_of
from schemas.records import EndpointAlert
from tests.unit.console.access.test_api_isolation import OF_THE_CALLER, OF_THE_INSTALLATION, REQUESTS
from tests.unit.console.console_parts import Api, endpoint, refusal
from tests.unit.sinks.sink_parts import delivered

PATH = "/api/endpoints/crm/events"
ALERT = EndpointAlert(
    event_id="evt_a", account="acme", endpoint="shop", event="endpoint.paused", reason="gone", since=0, timestamp=0
)


@pytest.fixture
def api() -> Api:
    return Api()


OFFSETS = st.dictionaries(
    st.sampled_from(["delivery", "reply", "alerts"]),
    st.tuples(st.text(max_size=30), st.lists(st.integers(0, 2**62 - 1), max_size=50).map(tuple)),
)


@given(OFFSETS, st.integers(0, 2**50))
def test_a_cursor_is_read_as_it_was_written(offsets: Any, at: int) -> None:
    cursor = Cursor("acme/crm", at, offsets)
    assert Cursor.decode(cursor.encode(), "acme/crm") == cursor


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.hex()))
def test_what_is_no_cursor_is_told_so(text: str) -> None:
    with pytest.raises(BadCursor):
        Cursor.decode(text, "acme/crm")


def test_a_cursor_of_another_endpoint_is_refused() -> None:
    with pytest.raises(BadCursor, match="another endpoint"):
        Cursor.decode(Cursor("acme/crm", 1, {}).encode(), "acme/shop")


def test_the_cursor_of_the_largest_deployment_fits() -> None:
    offsets = {event: ("x" * 22, tuple(range(10**9, 10**9 + 96 * 997, 997))) for event in topics_of(endpoint())}
    assert len(Cursor("acme/crm", 1, offsets).encode()) < MAX_CURSOR


@pytest.mark.parametrize(
    ("topic", "topic_id", "partition", "begin"),
    [
        ("delivery", "id", 0, 7),
        ("delivery", "id", 1, 0),
        ("delivery", "made anew", 0, 0),
        ("reply", "id", 0, None),
    ],
    ids=["where it was", "a partition that was added", "a topic that was made anew", "an event subscribed to since"],
)
def test_where_a_partition_goes_on(topic: str, topic_id: str, partition: int, begin: int | None) -> None:
    assert begin_of(Cursor("acme/crm", 1, {"delivery": ("id", (7,))}), topic, topic_id, partition) == begin


def test_an_endpoint_is_told_what_it_would_get_as_a_webhook() -> None:
    event = polled(delivered("evt_1"), endpoint())
    assert event is not None
    assert (event.id, event.event, event.data["event"], event.data["to"]) == (
        "evt_1",
        "delivery",
        "delivery",
        "+15550001111",
    )
    alert = polled(ALERT, endpoint(events=("endpoint.paused",)))
    assert alert is not None
    assert alert.data["endpoint"] == "shop"


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (delivered("evt_1", account="other"), {}),
        (delivered("evt_1"), {"events": ("reply",)}),
        (delivered("evt_1"), {"lists": ("+18009999999",)}),
        (ALERT, {}),
        (ALERT, {"id": "shop", "events": ("endpoint.paused",)}),
    ],
    ids=["another account", "another event", "another list", "an alert", "an alert about itself"],
)
def test_what_it_does_not_subscribe_to_it_is_not_told(record: Any, changes: dict[str, Any]) -> None:
    assert polled(record, endpoint(**changes)) is None


def test_only_topics_of_its_events_are_read() -> None:
    assert topics_of(endpoint(events=("reply", "delivery"))) == ("delivery", "reply")
    assert topics_of(endpoint(events=("sent", "endpoint.paused"))) == ("sent", "alerts")


@pytest.mark.parametrize(
    ("topic", "key", "may"),
    [
        ("delivery", b"acme:+15550001111", True),
        ("delivery", b"acme2:+15550001111", False),
        ("delivery", None, True),
        ("conversion", b"click-1", True),
        ("alerts", b"acme", True),
    ],
)
def test_a_record_of_another_account_is_not_decoded(topic: str, key: bytes | None, may: bool) -> None:
    assert may_hold(topic, key, "acme") is may


async def test_a_page_is_asked_for_by_its_cursor(api: Api) -> None:
    first = (await api.get(PATH, params={"since": "1970-01-01T00:00:09Z", "limit": 7})).json()
    second = await api.get(PATH, params={"after": first["after"]})
    assert (first["data"], first["more"], first["missed"], second.status_code) == ([], False, False, 200)
    assert api.events.asked == [("acme/crm", None, 9_000, 7), ("acme/crm", Cursor("acme/crm", 1, {}), None, 100)]


@pytest.mark.parametrize(
    ("params", "named"), [({"after": "x"}, "after"), ({"since": "x"}, "since"), ({"limit": "501"}, "limit")]
)
async def test_what_cannot_be_asked_is_named(api: Api, params: dict[str, str], named: str) -> None:
    answer = await api.get(PATH, params=params)
    assert refusal(answer) == (422, "validation_failed")
    assert named in answer.json()["message"]
    assert api.events.asked == []


async def test_a_polled_endpoint_that_is_paused_is_told_so(api: Api) -> None:
    api.accounts.put(endpoint(url=POLL, enabled=False))
    assert refusal(await api.get(PATH)) == (409, "conflict")


async def test_nothing_is_sent_to_a_polled_endpoint(api: Api) -> None:
    api.accounts.put(endpoint(url=POLL))
    assert refusal(await api.post("/api/endpoints/crm/test", json={})) == (409, "conflict")
    order = {"endpoint": "crm", "since": "24h"}
    assert refusal(await api.post("/api/replays", json=order)) == (409, "conflict")
    assert api.written.entries == []


async def test_an_endpoint_that_is_polled_is_made_without_a_url(api: Api) -> None:
    made = await api.post("/api/endpoints", json={"id": "shop", "url": POLL})
    assert (made.status_code, made.json()["endpoint"]["url"]) == (201, POLL)


async def test_a_customer_s_key_opens_its_endpoint_s_events_and_nothing_else(api: Api) -> None:
    key = api.key("acme", endpoint="crm")
    assert (await api.get(PATH, key=key)).status_code == 200
    api.accounts.put(endpoint(id="shop"))
    assert refusal(await api.get("/api/endpoints/shop/events", key=key)) == (404, "not_found")
    for params in ({"account": "other"}, {"account": "acme2"}):
        assert refusal(await api.get(PATH, key=key, params=params)) == (404, "not_found")


@pytest.mark.parametrize(("method", "path"), sorted((REQUESTS | OF_THE_INSTALLATION).keys() - {("GET", PATH)}))
async def test_a_customer_s_key_finds_no_other_route(api: Api, method: str, path: str) -> None:
    body = (REQUESTS | OF_THE_INSTALLATION)[method, path]
    for params in ({}, {"account": "acme"}):
        answer = await api.request(method, path, key=api.key("acme", endpoint="crm"), json=body, params=params)
        assert answer.status_code in (403, 404)
    assert api.written.entries == []


async def test_a_customer_s_key_sees_no_account(api: Api) -> None:
    assert {("GET", "/api/accounts")} == OF_THE_CALLER
    answer = await api.get("/api/accounts", key=api.key("acme", endpoint="crm"))
    assert answer.json()["data"] == []


async def test_a_key_is_made_for_one_endpoint(api: Api) -> None:
    body = {"name": "crm's customer", "endpoint": "crm"}
    made = (await api.post("/api/keys", json=body)).json()
    assert (made["key"]["role"], made["key"]["endpoint"]) == ("customer", "crm")
    assert (await api.get(PATH, key=made["text"])).status_code == 200
    assert refusal(await api.post("/api/keys", json=body | {"endpoint": "none"})) == (422, "validation_failed")


async def test_a_customer_s_key_is_of_no_use_once_its_endpoint_is_gone(api: Api) -> None:
    key = api.key("acme", endpoint="crm")
    api.accounts.drop("config_endpoints", "acme/crm")
    assert refusal(await api.get(PATH, key=key)) == (404, "not_found")


async def test_the_events_hold_numbers_so_a_viewer_does_not_get_them(api: Api) -> None:
    api.sign_in(Role.VIEWER)
    assert (await api.request("GET", PATH, key="")).status_code == 403


async def test_a_page_makes_an_endpoint_that_is_polled(api: Api) -> None:
    api.sign_in(Role.ADMIN)
    # A browser would send no other word than an address from a field of the type `url`.
    assert 'name="url" type="text"' in (await api.page("/webhooks/new")).text
    assert (await api.form("/webhooks/new", id="shop", url=POLL, events="reply")).status_code == 200
    assert api.accounts.endpoints["acme/shop"].url == POLL


async def test_a_key_ends_with_its_endpoint_and_does_not_open_another_of_its_name(api: Api) -> None:
    key = api.key("acme", endpoint="crm")
    other = api.key("acme", endpoint="shop")
    assert (await api.request("DELETE", "/api/endpoints/crm")).status_code == 204
    api.accounts.put(endpoint())
    answer = await api.get(PATH, key=key)
    assert answer.status_code == 401
    assert (await api.get("/api/endpoints/shop/events", key=other)).status_code != 401
