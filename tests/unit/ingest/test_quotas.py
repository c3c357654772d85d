"""How much is stored of unverified and of verified requests; and that no refusal is silent."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import Refused
from ingest.quotas import BURST_SECONDS, BURST_SECONDS_OF_BYTES, Quotas
from ingest.settings import IngestSettings
from schemas.records import AccountConfig
from tests.clock import MovedClock
from tests.unit.ingest.ingest_parts import Door

RATE, BYTES = 2.0, 2_000
AT_ONCE, BYTES_AT_ONCE = int(RATE * BURST_SECONDS), int(BYTES * BURST_SECONDS_OF_BYTES)
LIMITS = {"unproven_rate": RATE, "unproven_bytes": BYTES, "account_bytes": BYTES}


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(1_000.0)


@pytest.fixture
def quotas(clock: MovedClock) -> Quotas:
    settings = IngestSettings.model_validate(LIMITS)
    return Quotas(settings, lambda: clock.now)


def unproven(quotas: Quotas, count: int, caller: str = "203.0.113.7", account: str = "acme", size: int = 1) -> int:
    """How many of some requests pass."""
    refused = 0
    for _ in range(count):
        try:
            quotas.take_unproven(account, "infobip", caller, size)
        except Refused:
            refused += 1
    return count - refused


def test_what_proves_nothing_passes_at_its_rate(quotas: Quotas, clock: MovedClock) -> None:
    assert unproven(quotas, 100) == AT_ONCE
    clock.now += 5
    assert unproven(quotas, 100) == 5 * RATE


def test_one_address_keeps_no_other_one_out_and_all_together_have_twice_as_much(quotas: Quotas) -> None:
    assert unproven(quotas, 1_000, "203.0.113.7") == AT_ONCE
    assert unproven(quotas, 5, "198.51.100.1") == 5
    assert sum(unproven(quotas, 10, f"192.0.2.{n}") for n in range(100)) == AT_ONCE - 5


def test_an_ipv6_network_is_one_address(quotas: Quotas) -> None:
    assert sum(unproven(quotas, 1, f"2001:db8::{n:x}") for n in range(100)) == AT_ONCE
    assert unproven(quotas, 1, "2001:db8:0:1::1") == 1


def test_one_account_keeps_no_other_one_out(quotas: Quotas) -> None:
    assert unproven(quotas, 100, account="acme") == AT_ONCE
    assert unproven(quotas, 100, account="beta") == AT_ONCE


def test_so_many_bytes_of_it_are_stored(quotas: Quotas, clock: MovedClock) -> None:
    assert unproven(quotas, 10, size=BYTES_AT_ONCE // 4) == 4
    clock.now += BURST_SECONDS_OF_BYTES / 4
    assert unproven(quotas, 10, size=BYTES_AT_ONCE // 4) == 1


def test_what_proves_an_account_is_bounded_in_bytes_alone(quotas: Quotas) -> None:
    for _ in range(1_000):
        quotas.take_proven("acme", 1)
    quotas.take_proven("acme", BYTES_AT_ONCE // 2)
    with pytest.raises(Refused) as refused:
        quotas.take_proven("acme", BYTES_AT_ONCE)
    assert refused.value.code == "account_bytes_limited"
    quotas.take_proven("beta", BYTES_AT_ONCE)


def test_one_body_that_is_larger_than_the_limit_passes_after_a_rest(quotas: Quotas) -> None:
    assert unproven(quotas, 1, size=10 * BYTES_AT_ONCE) == 1


def test_the_log_says_it_once_a_minute_and_how_often(
    quotas: Quotas, clock: MovedClock, caplog: pytest.LogCaptureFixture
) -> None:
    unproven(quotas, AT_ONCE + 5)
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING
    assert "account acme" in caplog.text
    assert "TRACKLY_UNPROVEN_RATE" in caplog.text
    clock.now += 60
    unproven(quotas, AT_ONCE + 1)
    assert "(and 4 more since the last line)" in caplog.text


# Which requests prove nothing

ACCOUNTS = (
    AccountConfig(id="bare", name="Bare"),
    AccountConfig(
        id="near", name="Near", trusted_cidrs=("203.0.113.0/24",), trusted_postback_cidrs=("203.0.113.0/24",)
    ),
    AccountConfig(
        id="proven",
        name="Proven",
        providers={"infobip": {"secret": "s"}, "cm": {"secret": "s"}},
        postbacks={"token": "t"},
    ),
)
FEEDBACK, POSTBACK = "/api/webhook-feedbacks", "/api/postbacks"


@pytest.mark.parametrize(
    ("path", "name", "is_limited"),
    [
        (f"{FEEDBACK}/infobip?account=bare", "infobip", True),
        (f"{FEEDBACK}/cm?account=bare", "cm", True),
        (f"{FEEDBACK}/infobip?account=near", "infobip", False),
        (f"{FEEDBACK}/infobip?account=proven&secret=s", "infobip", False),
        (f"{FEEDBACK}/lime/shared-secret?account=bare", "lime", False),
        (f"{POSTBACK}/tune?click_id=c", "tune", True),
        (f"{POSTBACK}/everflow?click_id=c", "everflow", True),
        (f"{POSTBACK}/tune/bare?click_id=c", "tune", True),
        (f"{POSTBACK}/tune/near?click_id=c", "tune", False),
        (f"{POSTBACK}/tune/proven?click_id=c&token=t", "tune", False),
        (f"{POSTBACK}/tune?click_id=c&token=t", "tune", False),
    ],
)
async def test_only_what_proves_nothing_is_limited_in_number(
    tmp_path: Path, path: str, name: str, is_limited: bool
) -> None:
    limits: dict[str, Any] = {"unproven_rate": 0.1}
    door = Door(tmp_path, *ACCOUNTS, lime_webhook_secret="shared-secret", **limits)
    answers = [await door.request("POST", path) for _ in range(3)]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) == (2 if is_limited else 0)
    assert all(answer.headers["Retry-After"] for answer in refused)
    assert len(door.stored()) == 3 - len(refused)
    assert door.counted(name, "unproven_rate_limited") == len(refused)


async def test_who_floods_without_proof_keeps_out_nothing_that_is_proven(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"unproven_rate": 0.1, "unproven_bytes": 1_024}
    door = Door(tmp_path, *ACCOUNTS, **limits)
    for _ in range(20):
        await door.request("POST", f"{POSTBACK}/tune?click_id=c")
        await door.request("POST", f"{FEEDBACK}/infobip?account=bare", content=b"x" * 100_000)
    for path in (f"{POSTBACK}/tune?click_id=c&token=t", f"{FEEDBACK}/infobip?account=proven&secret=s"):
        assert (await door.request("POST", path)).status_code == 200
    other = await door.request("POST", f"{FEEDBACK}/infobip?account=bare", caller="198.51.100.1")
    assert other.status_code == 200
