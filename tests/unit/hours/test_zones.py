"""Which data about time zones count."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from hours import zones
from hours.zones import zone_named

VANCOUVER = "America/Vancouver"
JULY = datetime(2026, 7, 1)
OF_PACKAGE, OF_SYSTEM = timedelta(hours=-7), timedelta(hours=9)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Path]:
    """Time zones of a system in which Vancouver has the clock of Tokyo."""
    kept = zoneinfo.TZPATH
    tokyo = files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    for name in (VANCOUVER, "Mars/Olympus"):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_bytes(tokyo)
    zoneinfo.reset_tzpath([str(tmp_path)])
    forget()
    yield tmp_path
    zoneinfo.reset_tzpath(kept)
    forget()


def forget() -> None:
    ZoneInfo.clear_cache()
    zone_named.cache_clear()
    zones._version_of_system.cache_clear()


@pytest.mark.parametrize(
    ("says", "offset"),
    [
        ("# version 2025b\n", OF_PACKAGE),
        ("# version 2199a\n", OF_SYSTEM),
        ("# something else\n", OF_PACKAGE),
        (None, OF_PACKAGE),
    ],
)
def test_the_newer_data_count_and_without_a_version_those_of_the_package(
    system: Path, says: str | None, offset: timedelta
) -> None:
    if says is not None:
        (system / "tzdata.zi").write_text(says)
    assert zone_named(VANCOUVER).utcoffset(JULY) == offset


def test_a_zone_that_only_the_older_data_have_is_found(system: Path) -> None:
    assert zone_named("Mars/Olympus").utcoffset(JULY) == OF_SYSTEM


@pytest.mark.parametrize("name", ["America/Nowhere", "../tzdata.zi", ""])
def test_what_is_no_zone_raises(name: str) -> None:
    with pytest.raises((ZoneInfoNotFoundError, ValueError)):
        zone_named(name)


def test_a_zone_has_its_name() -> None:
    assert zone_named(VANCOUVER).key == VANCOUVER
