"""Kafka keeps the fingerprint of the key that erased numbers are kept with: with another key, nothing that needs it
works."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.kafka_time import check_clock
from bus.kept_key import PseudonymKeyWrong, check_or_keep_key, kept_fingerprint, replace_key
from bus.settings import BusSettings
from schemas.pseudonyms import Pseudonyms
from schemas.records import AccountConfig, ListConfig, RemovedEvent
from tests.cluster import Cluster
from tests.patience import PATIENCE, http

pytestmark = pytest.mark.broker

KEY, OTHER = "the installation's key", "another key of a test"
LIST, NUMBER = "+18005550001", "+15551230077"


@pytest.fixture
async def cluster(bus_settings: BusSettings, tmp_path: Path) -> Cluster:
    cluster = Cluster(bus_settings, tmp_path, TRACKLY_PSEUDONYM_KEY=KEY)
    with cluster:
        await cluster.configure([AccountConfig(id="acme", name="Acme"), ListConfig(account="acme", number=LIST)])
    return cluster


@pytest.fixture
def running(cluster: Cluster) -> Iterator[Cluster]:
    with cluster:
        cluster.start("streams-1")
        cluster.wait_ready()
        yield cluster


def with_key(settings: BusSettings, key: str | None) -> BusSettings:
    return BusSettings.model_validate({**settings.model_dump(by_alias=True), "TRACKLY_PSEUDONYM_KEY": key})


def erase_an_opted_out_number(cluster: Cluster) -> None:
    assert cluster.trackly("contact", "remove", "acme", LIST, NUMBER, "--reason", "complaint").returncode == 0
    cluster.wait_for("removed", RemovedEvent, NUMBER, timeout=PATIENCE)
    erased = cluster.trackly("erase", "acme", NUMBER, "--yes")
    assert erased.returncode == 0, erased.stderr


def is_refused(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 1 and "accept-pseudonym-key" in done.stderr and "Traceback" not in done.stderr


def test_with_another_key_or_none_nothing_that_needs_it_works(running: Cluster) -> None:
    erase_an_opted_out_number(running)
    shown = running.trackly("contact", "show", "acme", LIST, NUMBER)
    assert (shown.returncode, "removed: do not text" in shown.stdout) == (0, True)

    for key in (OTHER, ""):
        assert is_refused(running.trackly("contact", "show", "acme", LIST, NUMBER, TRACKLY_PSEUDONYM_KEY=key))
        assert is_refused(running.trackly("streams", TRACKLY_PSEUDONYM_KEY=key))
    for command in (("erase", "acme", NUMBER, "--yes"), ("console",), ("mirror",)):
        assert is_refused(running.trackly(*command, TRACKLY_PSEUDONYM_KEY=OTHER)), command
    found = running.trackly("doctor", "--json", TRACKLY_PSEUDONYM_KEY=OTHER).stdout
    assert "pseudonym_key_wrong" in {json.loads(line)["code"] for line in found.splitlines()}
    assert KEY not in str([record.value for record in running.stored("fingerprints")])


def test_a_lost_key_is_given_up_by_an_order_that_says_what_is_forgotten(running: Cluster) -> None:
    erase_an_opted_out_number(running)
    accept = ("secrets", "accept-pseudonym-key")
    busy = running.trackly(*accept, "--yes", TRACKLY_PSEUDONYM_KEY=OTHER)
    assert (busy.returncode, "streams runs" in busy.stderr) == (1, True)
    running.stop("streams-1")
    unanswered = running.trackly(*accept, TRACKLY_PSEUDONYM_KEY=OTHER)
    assert (unanswered.returncode, "1 removals of erased numbers" in unanswered.stderr) == (2, True)

    done = running.trackly(*accept, "--yes", "--json", TRACKLY_PSEUDONYM_KEY=OTHER)
    assert json.loads(done.stdout) == {"changed": True, "forgotten": 1}
    assert is_refused(running.trackly("streams"))
    assert running.trackly("contact", "show", "acme", LIST, NUMBER, TRACKLY_PSEUDONYM_KEY=OTHER).returncode == 0


async def test_a_console_with_another_key_answers_no_more_once_streams_has_one(cluster: Cluster) -> None:
    key = await cluster.make_key("acme")
    with cluster:
        cluster.environment["TRACKLY_PSEUDONYM_KEY"] = ""
        cluster.start("streams-1")
        cluster.environment["TRACKLY_PSEUDONYM_KEY"] = OTHER
        cluster.start("console-1")
        cluster.wait_ready()
        url = f"{cluster.console('console-1')}/api/contacts/check"
        asked = {"list_number": LIST, "numbers": [NUMBER]}
        headers = {"Authorization": f"Bearer {key}"}
        async with asyncio.timeout(PATIENCE):
            while http.post(url, json=asked, headers=headers).status_code != 200:
                await asyncio.sleep(0.2)

            await check_or_keep_key(with_key(cluster.settings, KEY))
            while http.post(url, json=asked, headers=headers).status_code != 503:
                await asyncio.sleep(0.2)


async def test_the_key_that_streams_has_is_kept_unless_it_had_another_within_the_last_day(
    bus_settings: BusSettings, topics: None
) -> None:
    """An installation that erased numbers before fingerprints were kept."""
    await check_or_keep_key(with_key(bus_settings, None))
    assert await kept_fingerprint(bus_settings) is None
    await check_clock(with_key(bus_settings, OTHER), "console/one")
    await check_clock(with_key(bus_settings, KEY), "streams/one")
    with pytest.raises(PseudonymKeyWrong, match="accept-pseudonym-key"):
        await check_or_keep_key(with_key(bus_settings, OTHER))
    await check_or_keep_key(with_key(bus_settings, KEY))
    assert await kept_fingerprint(bus_settings) == Pseudonyms(KEY).fingerprint


async def test_of_two_that_start_at_the_same_time_with_different_keys_one_is_refused(
    bus_settings: BusSettings, topics: None
) -> None:
    both = [check_or_keep_key(with_key(bus_settings, key)) for key in (KEY, OTHER)]
    results = await asyncio.gather(*both, return_exceptions=True)
    assert [type(result) for result in results].count(PseudonymKeyWrong) == 1
    await replace_key(with_key(bus_settings, OTHER))
    await check_or_keep_key(with_key(bus_settings, OTHER))
    with pytest.raises(PseudonymKeyWrong):
        await check_or_keep_key(with_key(bus_settings, KEY))
