"""Registered messages count against a cap, and the data registered with them says where the contact is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from schemas.records import AccountConfig, ListConfig
from tests.broker.test_console import ONE, Api
from tests.cluster import Cluster, running

pytestmark = pytest.mark.broker

CONFIGS = [AccountConfig(id="acme", name="Acme", sending_cap=2), ListConfig(account="acme", number=ONE)]
CAPPED, OTHER = "+12125550123", "+12125550124"


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(broker, tmp_path_factory.mktemp("caps"), "caps", CONFIGS, "streams-1", "console-1") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def api(cluster: Cluster) -> Api:
    api = Api(cluster, asyncio.run(cluster.make_key("acme")))
    api.wait_for(200, OTHER)
    return api


def register(api: Api, number: str, name: str, **more: str) -> None:
    ids = {"message_id": name, "provider": "infobip", "provider_message_id": name, "list_number": ONE, "to": number}
    assert api.post("/api/messages", {"messages": [{**ids, **more}]}).status_code == 202


def test_an_answer_counts_every_message_that_was_registered_before_its_time(api: Api) -> None:
    register(api, CAPPED, "a")
    register(api, OTHER, "a-too")
    register(api, CAPPED, "a")
    assert [each["may_be_texted"] for each in api.check_as_of(time.time(), CAPPED, OTHER)] == [True, True]
    register(api, CAPPED, "b")
    capped, other = api.check_as_of(time.time(), CAPPED, OTHER)
    assert (capped["may_be_texted"], capped["reason"], capped["rule"]) == (False, "frequency_cap", "account-cap")
    assert capped["not_before"] > "2026"
    assert other["may_be_texted"] is True


def test_what_was_counted_is_known_after_a_restart(cluster: Cluster, api: Api) -> None:
    cluster.stop("console-1")
    cluster.start("console-1")
    api.wait_for_start()
    api.wait_for(200, OTHER)
    (capped,) = api.check_as_of(time.time(), CAPPED)
    assert capped["reason"] == "frequency_cap"


def test_a_place_that_comes_with_a_message_counts(api: Api) -> None:
    register(api, OTHER, "c", state="TX")
    (found,) = api.check_as_of(time.time(), OTHER)
    assert found["time_zones"] == ["America/Chicago", "America/Denver"]
