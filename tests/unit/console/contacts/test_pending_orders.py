"""Contacts with orders that are not yet in the copy: held, and never textable."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bus.clock import Moment
from bus.reading.replica import Replica
from bus.settings import BusSettings
from bus.tables.store import MemoryStore
from console.contacts.pending_orders import PendingOrders, row_of
from console.principals import Role
from schemas.ids import contact_key, recipient_key
from schemas.records import ContactCommand
from tests.unit.console.console_parts import CODEC, LIST, NUMBER, Api
from tests.unit.console.contacts.test_quiet_hours import check


def order(command: str, offset: int, partition: int = 0) -> Any:
    """Return an order as stored on its topic."""
    value = CODEC.encode(
        ContactCommand(
            event_id="evt_1", command=command, account="acme", list_number=LIST, phone_number=NUMBER, issued_at=1
        )
    )
    return SimpleNamespace(value=value, partition=partition, offset=offset)


def at(second: int) -> Moment:
    return Moment(float(second), second * 1000)


class Orders:
    """Pending orders over a store that a test writes to."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        settings = BusSettings(bootstrap_servers="localhost:1")
        self.known = PendingOrders(Replica(settings, settings.catalogue["commands"], self.store))

    def give(self, record: Any) -> None:
        key = recipient_key("acme", NUMBER)
        self.store.write({key: row_of(CODEC, self.store.get(key), record)}, None)

    @property
    def reason(self) -> str | None:
        return self.known.pending("acme", NUMBER)


@pytest.mark.parametrize(
    ("command", "reason"), [("remove", "removal_pending"), ("erase", "erasure_pending"), ("restore", None)]
)
def test_what_may_take_a_contact_out_is_pending(command: str, reason: str | None) -> None:
    orders = Orders()
    orders.give(order(command, 5))
    assert orders.reason == reason


def test_an_order_that_does_not_read_leaves_it_unknown() -> None:
    orders = Orders()
    orders.give(SimpleNamespace(value=b"nonsense", partition=0, offset=5))
    assert orders.reason == "unknown_state"


def test_a_restore_does_not_hide_an_order_that_is_pending() -> None:
    orders = Orders()
    orders.give(order("remove", 5))
    orders.give(order("restore", 6))
    assert orders.reason == "removal_pending"


def test_an_order_is_pending_until_what_it_led_to_is_in_the_copy() -> None:
    orders = Orders()
    orders.give(order("erase", 5))
    orders.known.look(at(1), {0: 5}, None)
    orders.known.look(at(2), {0: 6}, at(1))
    assert orders.reason == "erasure_pending"
    orders.known.look(at(3), {0: 6}, at(2))
    assert orders.reason is None


def test_an_order_of_another_partition_is_told_by_that_one() -> None:
    orders = Orders()
    orders.give(order("erase", 5, partition=1))
    orders.known.look(at(1), {0: 9}, at(1))
    assert orders.reason == "erasure_pending"


def test_of_several_orders_the_last_counts() -> None:
    orders = Orders()
    orders.give(order("remove", 5))
    orders.known.look(at(1), {0: 6}, at(1))
    orders.give(order("remove", 7))
    assert orders.reason == "removal_pending"


def test_nothing_is_pending_once_everything_that_was_read_is_carried_out() -> None:
    orders = Orders()
    assert not orders.known.is_clear()
    orders.known._replica.positions = {0: 6, 1: 0}
    orders.known.look(at(1), {0: 5}, at(1))
    assert not orders.known.is_clear()
    orders.known.look(at(2), {0: 6}, at(2))
    assert orders.known.is_clear()


@pytest.fixture
def api() -> Api:
    return Api()


async def test_a_contact_with_a_pending_order_is_held_for_any_purpose(api: Api) -> None:
    api.orders.write({recipient_key("acme", NUMBER): row_of(CODEC, None, order("erase", 5))}, None)
    for purpose in ("marketing", "transactional"):
        (answer,) = await check(api, NUMBER, purpose=purpose)
        assert (answer["may_be_texted"], answer["held"], answer["reason"]) == (False, True, "erasure_pending")
        assert answer["not_before"] is None


@pytest.mark.parametrize("ordered", ["US.13491208655302", NUMBER])
async def test_an_order_about_either_name_of_a_person_holds_the_id(api: Api, ordered: str) -> None:
    api.contact(True, list_number="", number="US.13491208655302", scope="account", known_as=NUMBER)
    (answer,) = await check(api, "US.13491208655302")
    assert answer["may_be_texted"]
    api.orders.write({recipient_key("acme", ordered): row_of(CODEC, None, order("remove", 5))}, None)
    (answer,) = await check(api, "US.13491208655302")
    assert (answer["may_be_texted"], answer["held"], answer["reason"]) == (False, True, "removal_pending")


async def test_a_removed_contact_is_removed_whatever_is_ordered(api: Api) -> None:
    api.contact(active=False, reason="complaint")
    api.orders.write({recipient_key("acme", NUMBER): row_of(CODEC, None, order("erase", 5))}, None)
    (answer,) = await check(api, NUMBER)
    assert (answer["may_be_texted"], answer["held"], answer["reason"]) == (False, False, "complaint")


async def test_a_state_that_cannot_be_read_is_held(api: Api) -> None:
    api.store.write({contact_key("acme", LIST, NUMBER).encode(): b"\x00\x00\x00\x03\xe7"}, None)
    (answer,) = await check(api, NUMBER)
    assert (answer["may_be_texted"], answer["held"], answer["reason"]) == (False, True, "unknown_state")


async def test_while_orders_are_not_known_nobody_may_be_texted(api: Api) -> None:
    api.view.orders._replica.problem = "the copy of orders cannot be kept"
    answer = await api.post("/api/contacts/check", json={"list_number": LIST, "numbers": [NUMBER]})
    assert answer.status_code == 503
    assert "the copy of orders cannot be kept" in answer.json()["message"]


async def test_the_page_of_the_number_says_so(api: Api) -> None:
    api.sign_in(Role.SUPPORT)
    api.orders.write({recipient_key("acme", NUMBER): row_of(CODEC, None, order("erase", 5))}, None)
    found = await api.get(f"/api/contacts/{NUMBER}")
    now = found.json()["now"]
    assert (now["may_be_texted"], now["reason"]) == (False, "erasure_pending")
    assert "has not been carried out yet" in (await api.page(f"/contacts/{NUMBER}")).text
