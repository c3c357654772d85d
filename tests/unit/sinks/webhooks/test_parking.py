from __future__ import annotations

import pytest

from sinks.webhooks.parking import DAY_MS, SEEN_FOR_MS, Parking

NOW = 100 * DAY_MS


@pytest.mark.parametrize(
    ("days", "age", "state"),
    [
        (7, 0, "wait"),
        (7, 6 * DAY_MS, "wait"),
        (7, 6 * DAY_MS + 1, "expiring"),
        (7, 7 * DAY_MS - 1, "expiring"),
        (7, 7 * DAY_MS, "expired"),
        (1, DAY_MS // 2, "wait"),
        (1, DAY_MS // 2 + 1, "expiring"),
    ],
)
def test_a_parked_webhook_waits_then_is_warned_of_then_expires(days: float, age: int, state: str) -> None:
    assert Parking(days).park("acme/crm", NOW - age, NOW) == state


def test_the_oldest_of_all_endpoints_is_told() -> None:
    parking = Parking(7)
    parking.park("acme/crm", NOW - 5_000, NOW)
    parking.park("acme/crm", NOW - 1_000, NOW)
    parking.park("acme/other", NOW - 2_000, NOW)
    assert parking.oldest_seconds(NOW) == 5.0


def test_an_endpoint_without_parked_webhooks_is_forgotten() -> None:
    parking = Parking(7)
    parking.park("acme/crm", NOW - 5_000, NOW)
    assert parking.oldest_seconds(NOW + SEEN_FOR_MS + 1) == 0.0
