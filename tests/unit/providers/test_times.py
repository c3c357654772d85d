"""Provider times in milliseconds UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.times import done_date_millis, epoch_millis, iso_millis

JANUARY_15 = 1_705_314_600_000
"""2024-01-15T10:30:00Z"""

offsets = st.integers(min_value=-14 * 60, max_value=14 * 60).map(lambda m: timezone(timedelta(minutes=m)))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "2024-01-15T10:30:00.000+0000",
            "2024-01-15T10:30:00+00:00",
            "2024-01-15T10:30:00Z",
            "2024-01-15T10:30Z",
        ),
        *("2024-01-15T11:30:00.000+0100", "2024-01-15T11:30:00+01:00", "2024-01-15T05:00:00.000-0530"),
        *("2024-01-15T10:30:00", "2024-01-15 10:30:00", "2024-01-15T10:30:00.000999999Z"),
        *("2024-01-15t10:30:00z", "2024-01-15T10:30:00z", "20240115T103000Z", "20240115T113000.0+0100"),
        *("2024-01-15T11:30:00 01:00", "2024-01-15 10:30:00.000 0000", "20240115T113000 0100"),
        *(" 2024-01-15T10:30:00Z\n", "2024-01-15T10:30:00Z\r\n"),
    ],
)
def test_one_instant_in_the_spellings_of_iso_8601(text: str) -> None:
    assert iso_millis(text) == JANUARY_15


def test_milliseconds_are_kept() -> None:
    assert iso_millis("2024-01-15T10:30:00.123+0000") == JANUARY_15 + 123


@pytest.mark.parametrize(
    "value",
    [
        *(
            None,
            1_704_106_800_000,
            "",
            "yesterday",
            "2024-01-15",
            "2024-13-15T10:30:00Z",
            "2024-01-15T25:00:00Z",
        ),
        *("2024-01-15T10:30:60Z", "2024-01-15T10:30:00+9999", "15.01.2024 10:30", [], "2024-01-15T\ud800"),
    ],
)
def test_what_is_no_time_is_none(value: object) -> None:
    assert iso_millis(value) is None


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=offsets))
def test_any_time_comes_back_from_its_iso_form(time: datetime) -> None:
    expected = (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert iso_millis(time.isoformat()) == expected
    assert iso_millis(time.strftime("%Y-%m-%dT%H:%M:%S.%f%z")) == expected


@pytest.mark.parametrize("value", [JANUARY_15, str(JANUARY_15)])
def test_milliseconds_since_1970_come_as_number_or_text(value: object) -> None:
    assert epoch_millis(value) == JANUARY_15


@pytest.mark.parametrize("value", [None, "", "soon", True, 1.5, -1, 10**15, "9" * 16, "١٢", []])
def test_what_is_no_number_of_this_calendar_is_none(value: object) -> None:
    assert epoch_millis(value) is None


@given(st.text())
def test_no_text_raises(text: str) -> None:
    for read in (iso_millis, epoch_millis, done_date_millis):
        assert read(text) is None or isinstance(read(text), int)


def test_a_done_date_is_utc() -> None:
    assert done_date_millis("2401151030") == JANUARY_15


@pytest.mark.parametrize("value", [None, "", "240115103", "240115103000", "2413151030", "+401151030", "24011510３0"])
def test_what_is_no_done_date_is_none(value: object) -> None:
    assert done_date_millis(value) is None


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2099, 12, 31), timezones=st.just(UTC)))
def test_any_minute_comes_back_from_its_done_date(time: datetime) -> None:
    minute = time.replace(second=0, microsecond=0)
    assert done_date_millis(minute.strftime("%y%m%d%H%M")) == int(minute.timestamp()) * 1000
