"""`trackly contact show` and `POST /api/contacts/check` agree about a contact at the same time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.records import AccountConfig, ListConfig
from tests.broker.test_console import ONE, Api
from tests.cluster import Cluster, running

pytestmark = pytest.mark.broker

CONFIGS = [
    AccountConfig(id="acme", name="Acme", sending_rules=("us",), sending_cap=2),
    ListConfig(account="acme", number=ONE),
]
FREE, CAPPED, REMOVED, EVERYWHERE, PLACED, NOWHERE, ABROAD, PENDING = (
    "+12125550123",
    "+12125550124",
    "+12125550125",
    "+12125550126",
    "+12125550127",
    "+18005550128",
    "+5215512345678",
    "+12125550129",
)
TOLD = ("may_be_texted", "reason", "held", "failures", "since", "not_before", "until", "time_zones", "rule", "code")


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(broker, tmp_path_factory.mktemp("show"), "show", CONFIGS, "streams-1", "console-1") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def api(cluster: Cluster) -> Api:
    """A console with contacts of each kind."""
    api = Api(cluster, asyncio.run(cluster.make_key("acme")))
    api.wait_for(200, FREE)
    for name in ("a", "b"):
        ids = {"message_id": name, "provider": "infobip", "provider_message_id": name, "list_number": ONE}
        assert api.post("/api/messages", {"messages": [{**ids, "to": CAPPED}]}).status_code == 202
    places = {"contacts": [{"number": PLACED, "state": "TX"}]}
    assert api.post("/api/contacts/places", places).status_code == 202
    for listed, number in ((ONE, REMOVED), ("all", EVERYWHERE)):
        order = {"list_number": listed, "numbers": [number], "reason": "complaint"}
        assert api.post("/api/contacts/remove", order).status_code == 202
    api.check_as_of(time.time(), FREE)
    return api


def show(cluster: Cluster, number: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(cluster.trackly("contact", "show", "acme", ONE, number, "--json").stdout)
    return shown


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (FREE, None),
        (CAPPED, "frequency_cap"),
        (REMOVED, "complaint"),
        (EVERYWHERE, "complaint"),
        (PLACED, None),
        (NOWHERE, "quiet_hours"),
        (ABROAD, None),
    ],
)
def test_both_answer_the_same(cluster: Cluster, api: Api, number: str, reason: str | None) -> None:
    (answer,) = api.check_as_of(0, number)
    shown = show(cluster, number)
    if (again := api.check_as_of(0, number)[0]) != answer:
        answer = again  # the hour has struck between the two
        shown = show(cluster, number)
    assert {name: shown[name] for name in TOLD} == {name: answer[name] for name in TOLD}
    if reason is not None and answer["reason"] != "quiet_hours":
        assert answer["reason"] == reason


def test_both_hold_a_contact_whose_removal_is_ordered_and_not_carried_out(cluster: Cluster, api: Api) -> None:
    cluster.stop("streams-1")
    order = {"list_number": ONE, "numbers": [PENDING]}
    assert api.post("/api/contacts/remove", order).status_code == 202
    (answer,) = api.check_as_of(0, PENDING)
    shown = show(cluster, PENDING)
    assert (answer["reason"], answer["held"]) == ("removal_pending", True)
    assert {name: shown[name] for name in TOLD} == {name: answer[name] for name in TOLD}
    assert (
        "an order has not been processed by streams yet"
        in cluster.trackly("contact", "show", "acme", ONE, PENDING).stdout
    )
