"""Where a number's subscriber may be: country, state, time zones.

An area code tells where a number was issued, not where its owner is, and in many countries a mobile number reveals only
its country: then all zones of the country count. phonenumbers' own lookup gives a mobile number the zones of every
country with its calling code, and a toll-free number all 42 of +1.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfoNotFoundError, available_timezones

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberType
from phonenumbers.timezone import time_zones_for_geographical_number
from phonenumbers.tzdata import TIMEZONE_DATA

from hours.zones import zone_named
from schemas.numbering import canonical, country_code

UNITED_STATES = "US"
TERRITORIES = frozenset({"AS", "GU", "MP", "PR", "VI"})
"""phonenumbers' regions that are countries in ISO 3166 but states here."""

_NOWHERE = frozenset(
    {
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.PERSONAL_NUMBER,
        PhoneNumberType.UAN,
        PhoneNumberType.VOICEMAIL,
        PhoneNumberType.UNKNOWN,
    }
)
"""Types of numbers without a location, or outside any assigned range."""

_NO_COUNTRY = ("001", "ZZ")
"""phonenumbers' regions for calling codes of no country and for none."""

# In North America, area code and exchange determine a number's type and location.
_PREFIX = slice(2, 8)
_LENGTH = 12
_SHORTEST = 7
_LINE = "2345"


@dataclass(frozen=True, slots=True)
class Place:
    """A possible location. `states` None: any state of the country. `zones` are IANA names; empty if nothing is
    known."""

    country: str
    states: frozenset[str] | None
    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """What an account itself knows about a contact: time zone, and state of the postal address."""

    zone: str | None = None
    state: str | None = None


NOWHERE = Place("", None, ())


def place_of(number: str, *, anywhere: bool = False) -> Place:
    """Return the location by a number's (E.164) prefix; `anywhere`: only its country is certain."""
    if number.startswith("+1") and len(number) == _LENGTH:
        return _north_american(number[_PREFIX], anywhere)
    # To phonenumbers, an old spelling is only an invalid number.
    return _elsewhere(canonical(number), anywhere)


def with_given(place: Place, given: Given) -> Place:
    """Return the place refined by what the account knows, which overrides the number."""
    if given.state is not None:
        zones = (given.zone,) if given.zone is not None else state_zones(given.state)
        return Place(UNITED_STATES, frozenset({given.state}), zones)
    return place if given.zone is None else Place(place.country, place.states, (given.zone,))


def check_zone(text: str) -> None:
    """Check a time zone. Raises ValueError."""
    if not is_zone(text):
        raise ValueError(f"{text[:100]!r} is not a time zone; write an IANA name such as America/New_York")


def is_zone(text: str) -> bool:
    """Whether this names a zone of the IANA data. Except for UTC, names without a slash are legacy."""
    return (text == "UTC" or "/" in text) and text in _zone_names()


def is_state(text: str) -> bool:
    """Whether this is the two-letter code of a US state."""
    return text in _states()


def check_state(text: str) -> None:
    """Check the code of a US state. Raises ValueError."""
    if not is_state(text):
        raise ValueError(f"{text[:100]!r} is not a state; write two letters such as TX")


@lru_cache(maxsize=1 << 16)
def _north_american(prefix: str, anywhere: bool) -> Place:
    state = _state_of_area().get(prefix[:3])
    if state is None or state in TERRITORIES or prefix[3] in "01":
        return _located(f"+1{prefix}{_LINE}", anywhere)
    # A fast path for nearly every number of a US sender: returns what `_located` finds, without matching patterns.
    if anywhere:
        return Place(UNITED_STATES, None, region_zones(UNITED_STATES))
    digits = f"1{prefix}"
    zones = next((TIMEZONE_DATA[digits[:n]] for n in (7, 6, 5, 4) if digits[:n] in TIMEZONE_DATA), ())
    return _in_state(state, zones or region_zones(UNITED_STATES))


@cache
def _in_state(state: str, zones: tuple[str, ...]) -> Place:
    """One object for the thousands of prefixes of a place."""
    return Place(UNITED_STATES, frozenset({state}), zones)


@lru_cache(maxsize=1 << 16)
def _elsewhere(number: str, anywhere: bool) -> Place:
    return _located(number, anywhere)


def _located(number: str, anywhere: bool) -> Place:
    parsed = _parsed(number)
    if parsed is None:
        return NOWHERE
    region = phonenumbers.region_code_for_number(parsed)
    country = region or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    if country in TERRITORIES:
        country = UNITED_STATES
    if region is None or phonenumbers.number_type(parsed) in _NOWHERE:
        return Place("" if country in _NO_COUNTRY else country, None, ())
    state: str | None = region
    if region not in TERRITORIES:
        state = _state_of_area().get(number[2:5]) if region == UNITED_STATES and not anywhere else None
    return Place(country, None if state is None else frozenset({state}), _zones(parsed, region, anywhere))


def _parsed(number: str) -> PhoneNumber | None:
    code = country_code(number[1:])
    national = number[1 + len(code) :]
    is_plain = number.startswith("+") and code and national.isdigit() and national[0] != "0"
    if is_plain and len(number) > _SHORTEST and not _trunk_prefix(code).match(national):
        # What the parser makes of an E.164 number, at a tenth of the time.
        return PhoneNumber(country_code=int(code), national_number=int(national))
    try:
        return phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None


@cache
def _trunk_prefix(code: str) -> re.Pattern[str]:
    """Return what the parser may strip from the start of a country's numbers, at least one digit of it."""
    region = phonenumbers.region_code_for_country_code(int(code))
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(int(code), region)
    prefix = metadata.national_prefix_for_parsing if metadata is not None else None
    return re.compile(f"(?=[0-9])(?:{prefix})(?<=[0-9])" if prefix else "(?!)")


def _zones(number: PhoneNumber, region: str, anywhere: bool) -> tuple[str, ...]:
    of_region = region_zones(region)
    if len(of_region) == 1 or anywhere or not phonenumbers.is_number_geographical(number):
        return of_region
    found = time_zones_for_geographical_number(number)
    if found == TIMEZONE_DATA.get(str(number.country_code)):
        return of_region
    return tuple(zone for zone in found if _is_known(zone)) or of_region


@cache
def region_zones(region: str) -> tuple[str, ...]:
    """Return a country's zones (ISO 3166), from the IANA data."""
    rows = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8").splitlines()
    cells = [row.split("\t") for row in rows if not row.startswith("#")]
    return tuple(sorted(zone for country, _, zone, *_ in cells if country == region and _is_known(zone)))


@cache
def state_zones(state: str) -> tuple[str, ...]:
    """Return a state's zones: those of its area codes."""
    if state in TERRITORIES:
        return region_zones(state)
    prefixes = tuple(f"1{area}" for area, owner in _state_of_area().items() if owner == state)
    found = {zone for prefix, zones in TIMEZONE_DATA.items() if prefix.startswith(prefixes) for zone in zones}
    return tuple(sorted(zone for zone in found if _is_known(zone)))


@cache
def clock_of(zone: str) -> tuple[timedelta | None, ...]:
    """Return a zone's offsets from UTC in winter and in summer. Zones of one country with the same ones agree."""
    return tuple(datetime(2026, month, 1, tzinfo=zone_named(zone)).utcoffset() for month in (1, 7))


@cache
def state_clocks(state: str) -> frozenset[tuple[timedelta | None, ...]]:
    """Return the clocks of a state's zones."""
    return frozenset(map(clock_of, state_zones(state)))


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def _states() -> frozenset[str]:
    return frozenset(_state_of_area().values())


@cache
def _state_of_area() -> dict[str, str]:
    rows = tomllib.loads(files("hours").joinpath("area_codes.toml").read_text("utf-8"))["states"]
    return {str(area): state for state, areas in rows.items() for area in areas}


@lru_cache(maxsize=1 << 10)
def _is_known(zone: str) -> bool:
    try:
        zone_named(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
