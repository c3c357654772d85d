"""Where a number may be, and where it is not."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hours.places import (
    Given,
    Place,
    _located,
    _parsed,
    _state_of_area,
    check_state,
    check_zone,
    place_of,
    region_zones,
    state_zones,
    with_given,
)


def states(place: Place) -> set[str] | None:
    return None if place.states is None else set(place.states)


@pytest.mark.parametrize(
    ("number", "country", "found", "zones"),
    [
        ("+12125550123", "US", {"NY"}, ("America/New_York",)),
        ("+14155550123", "US", {"CA"}, ("America/Los_Angeles",)),
        ("+19154210000", "US", {"TX"}, ("America/Denver",)),
        ("+17872345678", "US", {"PR"}, ("America/Puerto_Rico",)),
        ("+16714830000", "US", {"GU"}, ("Pacific/Guam",)),
        ("+14162345678", "CA", None, ("America/Toronto",)),
        ("+12684641234", "AG", None, ("America/Antigua",)),
        ("+4915112345678", "DE", None, ("Europe/Berlin",)),
        ("+33612345678", "FR", None, ("Europe/Paris",)),
        ("+212612345678", "MA", None, ("Africa/Casablanca",)),
        ("+919812345678", "IN", None, ("Asia/Kolkata",)),
        ("+61236123456", "AU", None, ("Australia/Sydney",)),
    ],
)
def test_a_number_tells_its_country_its_state_and_its_zones(
    number: str, country: str, found: set[str] | None, zones: tuple[str, ...]
) -> None:
    place = place_of(number)
    assert (place.country, states(place)) == (country, found)
    if number.startswith("+6123"):
        assert set(zones) <= set(place.zones)
    elif country == "DE":
        assert zones[0] in place.zones
    else:
        assert place.zones == zones


def test_a_mobile_number_of_a_large_country_may_be_anywhere_in_it_and_in_no_other() -> None:
    russian = place_of("+79161234567").zones
    assert {"Europe/Kaliningrad", "Europe/Moscow", "Asia/Kamchatka"} <= set(russian)
    assert "Asia/Almaty" not in russian
    assert {"Australia/Perth", "Australia/Sydney"} <= set(place_of("+61412345678").zones)


@pytest.mark.parametrize(
    "number",
    ["+18005550123", "+18885550123", "+19005550123", "+15005550006", "+15551230001", "+448001234567", "+80012345678"],
)
def test_a_toll_free_number_or_one_that_was_never_given_out_is_nowhere(number: str) -> None:
    assert place_of(number).zones == ()


@pytest.mark.parametrize("text", ["", "12345", "+", "+1", "acme_agent", "anon_abcdef", "+999123456789"])
def test_what_is_no_subscriber_s_number_is_nowhere(text: str) -> None:
    assert place_of(text).zones == ()


def test_anywhere_in_its_country_a_number_may_be_in_any_state_and_zone() -> None:
    place = place_of("+12125550123", anywhere=True)
    assert (place.country, place.states) == ("US", None)
    assert {"America/New_York", "Pacific/Honolulu", "America/Adak"} <= set(place.zones)
    assert "America/Toronto" not in place.zones


@given(st.integers(200, 999), st.integers(200, 999), st.integers(0, 9_999))
def test_in_north_america_the_place_is_that_of_area_code_and_exchange(area: int, exchange: int, line: int) -> None:
    number = f"+1{area}{exchange}{line:04}"
    parsed = phonenumbers.parse(number)
    region = phonenumbers.region_code_for_number(parsed)
    place = place_of(number)
    assert place == place_of(f"+1{area}{exchange}0000")
    if place.zones:
        assert region is not None
        assert phonenumbers.is_valid_number(parsed)
    assert place.country == ("US" if region in (None, "PR", "GU", "VI", "AS", "MP") else region)


@given(st.from_regex(r"\+[1-9][0-9]{3,14}", fullmatch=True))
def test_any_number_has_a_place(number: str) -> None:
    for place in (place_of(number), place_of(number, anywhere=True)):
        assert all("/" in zone or zone == "UTC" for zone in place.zones)
    assert bool(place_of(number).zones) == bool(place_of(number, anywhere=True).zones)


@given(st.from_regex(r"\+(7|61|55|52|62|1)[0-9]{8,11}", fullmatch=True))
def test_the_zones_of_a_prefix_are_no_more_than_those_of_its_country(number: str) -> None:
    assert len(place_of(number).zones) <= len(place_of(number, anywhere=True).zones)


def test_what_the_account_knows_counts_before_what_the_number_says() -> None:
    new_york = place_of("+12125550123")
    assert with_given(new_york, Given(zone="America/Denver")).zones == ("America/Denver",)
    assert states(with_given(new_york, Given(zone="America/Denver"))) == {"NY"}
    texan = with_given(new_york, Given(state="TX"))
    assert (states(texan), texan.zones) == ({"TX"}, ("America/Chicago", "America/Denver"))
    both = with_given(new_york, Given("America/Denver", "TX"))
    assert (states(both), both.zones) == ({"TX"}, ("America/Denver",))
    assert with_given(new_york, Given()) == new_york


@pytest.mark.parametrize(
    ("state", "zones"),
    [
        ("FL", {"America/Chicago", "America/New_York"}),
        ("HI", {"Pacific/Honolulu"}),
        ("PR", {"America/Puerto_Rico"}),
        ("TN", {"America/Chicago", "America/New_York"}),
    ],
)
def test_a_state_has_the_zones_of_its_area_codes(state: str, zones: set[str]) -> None:
    assert set(state_zones(state)) == zones


def test_zones_of_countries_are_those_of_the_iana_data() -> None:
    assert region_zones("AG") == ("America/Antigua",)
    assert len(region_zones("US")) > 20
    assert region_zones("XX") == ()


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "UTC", "America/Indiana/Knox"])
def test_a_zone_of_the_iana_data_is_taken(zone: str) -> None:
    check_zone(zone)


@pytest.mark.parametrize(
    "zone", ["", "EST", "america/new_york", "../etc/passwd", "right/America/New_York", "x\0/y", "+1"]
)
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        check_zone(zone)


@pytest.mark.parametrize("state", ["", "XX", "tx", "Texas", "ON"])
def test_what_is_no_state_is_refused(state: str) -> None:
    with pytest.raises(ValueError, match="state"):
        check_state(state)


@given(st.sampled_from(sorted(_state_of_area())), st.integers(200, 999), st.booleans())
def test_the_short_way_in_the_united_states_finds_what_the_long_way_does(
    area: str, exchange: int, anywhere: bool
) -> None:
    number = f"+1{area}{exchange}2345"
    short, long = place_of(number, anywhere=anywhere), _located(number, anywhere)
    # The long way knows of some exchanges that nobody has them yet.
    assert short == long or not long.zones


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
@example("+780000000000")
def test_a_number_is_taken_apart_as_the_parser_does(number: str) -> None:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        parsed = None
    found = _parsed(number)
    assert (parsed is None) == (found is None) or parsed is None
    if parsed is not None and found is not None:
        assert phonenumbers.region_code_for_number(parsed) == phonenumbers.region_code_for_number(found)
        assert phonenumbers.number_type(parsed) == phonenumbers.number_type(found)


@pytest.mark.parametrize(("old", "new"), [("+5215512345678", "+525512345678"), ("+551187654321", "+5511987654321")])
def test_an_old_spelling_of_a_number_is_where_the_number_is(old: str, new: str) -> None:
    assert place_of(old) == place_of(new)
    assert place_of(old).zones
