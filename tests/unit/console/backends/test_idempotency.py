"""Which of several claims of an idempotency key counts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from console.backends.idempotency import VALID_MS, Accepted, first_counts, is_valid
from schemas.records import ApiRequest
from tests.unit.console.console_parts import CODEC

NOW = 1_795_000_000_000


def claim(name: str, at: int) -> bytes:
    return CODEC.encode(ApiRequest(id="evt_1", claim=name, digest="d", accepted_at=at))


def row_after(*values: bytes) -> bytes | None:
    row = None
    for value in values:
        row = first_counts(CODEC, row, SimpleNamespace(value=value))
    return row


def test_the_first_claim_counts() -> None:
    assert row_after(claim("first", NOW), claim("second", NOW + 1)) == claim("first", NOW)


def test_a_clock_that_is_behind_does_not_make_a_later_claim_the_first() -> None:
    assert row_after(claim("first", NOW), claim("second", NOW - 60_000)) == claim("first", NOW)


def test_after_a_day_the_key_is_free_again() -> None:
    assert row_after(claim("first", NOW), claim("second", NOW + VALID_MS)) == claim("second", NOW + VALID_MS)


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x00\x00\x00\x00\x01"])
def test_what_is_no_claim_is_passed_over(junk: bytes) -> None:
    assert row_after(claim("first", NOW), junk) == claim("first", NOW)
    assert row_after(junk) is None


def test_a_claim_is_valid_for_24_hours() -> None:
    first = ApiRequest(id="evt_1", claim="first", digest="d", accepted_at=NOW)
    assert is_valid(first, NOW + 24 * 3_600_000 - 1)
    assert not is_valid(first, NOW + 24 * 3_600_000)


def test_records_of_a_request_have_ids_of_their_own_that_a_repeat_gives_again() -> None:
    ids = [Accepted(NOW, "seed").event_id(index) for index in range(100)]
    assert len(set(ids)) == 100
    assert ids == [Accepted(NOW, "seed").event_id(index) for index in range(100)]
    assert ids[0] != Accepted(NOW, "other").event_id(0)
