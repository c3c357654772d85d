"""Time zones, from the IANA data of the system or of the tzdata package, whichever are newer.

zoneinfo prefers the system's: an image or a machine may have kept them for years, while governments changed clocks.
"""

from __future__ import annotations

import re
import zoneinfo
from functools import cache
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import tzdata

_VERSION = re.compile(r"# version (\d{4}[a-z]+)")


@cache
def zone_named(name: str) -> ZoneInfo:
    """Return a zone by its IANA name. Raises ZoneInfoNotFoundError or ValueError if there is none."""
    if name not in _names_in_package() or _version_of_system() >= tzdata.IANA_VERSION:
        return ZoneInfo(name)
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@cache
def _names_in_package() -> frozenset[str]:
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


@cache
def _version_of_system() -> str:
    """Return a version such as 2026a; empty if the system has no data, or does not say."""
    for folder in zoneinfo.TZPATH:
        try:
            with Path(folder, "tzdata.zi").open(encoding="utf-8") as file:
                found = _VERSION.match(file.readline())
        except OSError:
            continue
        if found:
            return found[1]
    return ""
