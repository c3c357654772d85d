"""Whether a message may be sent: laws for every zone, number, and moment, and examples from sources."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import available_timezones

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hours.openings import FOREVER, common, openings
from hours.places import Given, place_of
from hours.policy import ACCOUNT, CAP_MS, CAPPED, NO_ZONE, QUIET, Policy, SendingHours, Verdict
from hours.rules import EVERY_DAY, Hours, Rule, chosen, minutes
from hours.zones import zone_named

HOUR = 3_600_000
NEW_YORK, LOS_ANGELES, MIAMI, AUSTIN, TORONTO = (
    *("+12125550123", "+14155550123", "+13055550123", "+15125550123", "+14162345678"),
)
TOLL_FREE = "+18005550123"
US = chosen(["us"])
ZONES = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone_named(zone)).timestamp()) * 1000


def utc(moment: int | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment / 1000, UTC).isoformat()[:16]


def own(opens: str, closes: str, days: tuple[int, ...] = EVERY_DAY) -> Rule:
    return Rule(id=ACCOUNT, hours=(Hours(days, minutes(opens), minutes(closes)),))


def judge(number: str, moment: int, given: Given | None = None, **policy: object) -> Verdict:
    return SendingHours(Policy(**{"rules": US} | policy)).judge(number, moment, given)  # type: ignore[arg-type]


# Laws

moments = st.integers(at("1995-01-01T00:00"), at("2037-12-31T00:00"))
days = st.sets(st.integers(0, 6), min_size=1).map(lambda found: tuple(sorted(found)))


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    opens = draw(st.integers(0, 1_439))
    return Rule(id=ACCOUNT, hours=(Hours(draw(days), opens, draw(st.integers(opens + 1, 1_440))),))


def lets_through(rule: Rule, zone: str, moment: int) -> bool:
    """Compute a rule's verdict from wall-clock time."""
    local = datetime.fromtimestamp(moment / 1000, zone_named(zone))
    minute = local.hour * 60 + local.minute
    if not rule.holds_on(local.date()):
        return True
    return any(local.weekday() in each.days and each.opens <= minute < each.closes for each in rule.hours)


@given(st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True), rules(), rules(), moments)
@example(["America/New_York"], own("00:00", "24:00"), own("01:00", "03:00"), at("2026-11-01T05:30"))
@example(["Africa/Cairo"], own("00:00", "24:00", (4,)), own("00:00", "24:00"), at("2025-04-24T22:30"))
@example(["America/Havana"], own("00:00", "24:00", (5,)), own("00:00", "24:00"), at("2026-11-01T04:30"))
def test_what_is_open_is_within_every_rule_by_every_clock(
    zones: list[str], one: Rule, other: Rule, moment: int
) -> None:
    """Also while a clock is set forward or back."""
    day = datetime.fromtimestamp(moment / 1000, UTC).date()
    found = common(openings([(zone, rule) for zone in zones for rule in (one, other)], day))
    for opening in found:
        if opening.begins <= moment < opening.ends:
            assert all(lets_through(rule, zone, moment) for zone in zones for rule in (one, other))
    assert all(a.ends < b.begins for a, b in pairwise(found))
    assert all(each.begins < each.ends for each in found)


@given(st.sampled_from(ZONES), st.integers(5, 12), st.integers(13, 23), moments)
def test_by_day_what_every_rule_lets_through_is_open(zone: str, opens: int, closes: int, moment: int) -> None:
    """Clocks are changed at night, except for a few times long ago."""
    local = datetime.fromtimestamp(moment / 1000, zone_named(zone))
    assume(local.utcoffset() == (local.replace(hour=12)).utcoffset())
    rule = own(f"{opens:02}:00", f"{closes:02}:00")
    (found,) = openings([(zone, rule)], datetime.fromtimestamp(moment / 1000, UTC).date())
    is_open = any(each.begins <= moment < each.ends for each in found)
    assert is_open == lets_through(rule, zone, moment)


@given(st.sampled_from([NEW_YORK, LOS_ANGELES, AUSTIN, MIAMI, TOLL_FREE, "+33612345678", "+79161234567"]), moments)
def test_a_message_that_waits_until_then_may_go_and_a_millisecond_earlier_it_may_not(number: str, moment: int) -> None:
    hours = SendingHours(Policy(rules=(*chosen(["us", "us-calls", "fr"]), own("08:30", "22:00"))))
    verdict = hours.judge(number, moment)
    if verdict.not_before is not None:
        assert moment < verdict.not_before
        assert hours.judge(number, verdict.not_before).may
        assert not hours.judge(number, verdict.not_before - 1).may
        assert hours.judge(number, verdict.not_before).until == verdict.until
    if verdict.until is not None:
        assert not hours.judge(number, verdict.until).may
        assert hours.judge(number, verdict.until - 1).may
    assert verdict.may == (verdict.reason is None)


@given(st.sampled_from([NEW_YORK, "+79161234567", "+61412345678", "+5511987654321", TOLL_FREE]), moments)
def test_where_numbers_lie_no_more_is_allowed_than_where_they_do_not(number: str, moment: int) -> None:
    policy = {"rules": (own("08:00", "21:00"), *US)}
    assert judge(number, moment, **policy).may or not judge(number, moment, anywhere=True, **policy).may


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), moments)
def test_without_a_zone_no_number_is_texted_where_there_are_rules(number: str, moment: int) -> None:
    verdict = judge(number, moment, rules=(own("00:00", "23:59"),))
    if not place_of(number).zones:
        assert verdict == Verdict(False, QUIET, rule=NO_ZONE)
    assert judge(number, moment, rules=()).may


@given(st.lists(moments, max_size=6), moments, st.integers(1, 4))
def test_within_any_24_hours_no_more_go_than_the_cap(sent: list[int], moment: int, cap: int) -> None:
    known = sorted(min(each, moment) for each in sent)
    verdict = SendingHours(Policy(cap=cap)).judge(NEW_YORK, moment, None, known)
    recent = [each for each in known if each > moment - CAP_MS]
    assert verdict.may == (len(recent) < cap)
    if not verdict.may:
        assert verdict.reason == CAPPED
        assert verdict.not_before is not None
        assert sum(each > verdict.not_before - CAP_MS for each in known) == cap - 1 or known.count(known[-cap]) > 1


# Examples


@pytest.mark.parametrize(
    ("number", "moment", "may", "until_or_not_before", "rule"),
    [
        # Saturday, then Sunday, 2026-11-28 and -29.
        (NEW_YORK, at("2026-11-28T08:00", "America/New_York"), True, "2026-11-29T02:00", "us-federal"),
        (NEW_YORK, at("2026-11-28T07:59", "America/New_York"), False, "2026-11-28T13:00", "us-federal"),
        (NEW_YORK, at("2026-11-28T21:00", "America/New_York"), False, "2026-11-29T13:00", "us-federal"),
        (MIAMI, at("2026-11-28T19:59", "America/New_York"), True, "2026-11-29T01:00", "us-fl"),
        (MIAMI, at("2026-11-28T20:00", "America/New_York"), False, "2026-11-29T13:00", "us-fl"),
        (MIAMI, at("2026-11-28T23:00", "America/New_York"), False, "2026-11-29T13:00", "us-fl"),
        (AUSTIN, at("2026-11-28T07:30", "America/Chicago"), False, "2026-11-28T15:00", "us-tx"),
        (AUSTIN, at("2026-11-28T08:30", "America/Chicago"), False, "2026-11-28T15:00", "us-tx"),
        (AUSTIN, at("2026-11-29T11:59", "America/Chicago"), False, "2026-11-29T18:00", "us-tx"),
        (AUSTIN, at("2025-08-31T08:30", "America/Chicago"), True, "2025-09-01T02:00", "us-federal"),
        (AUSTIN, at("2025-09-01T08:30", "America/Chicago"), False, "2025-09-01T14:00", "us-tx"),
        # Clocks are set back on 2026-11-01 and forward on 2027-03-14.
        (NEW_YORK, at("2026-10-31T22:00", "America/New_York"), False, "2026-11-01T13:00", "us-federal"),
        (NEW_YORK, at("2027-03-13T22:00", "America/New_York"), False, "2027-03-14T12:00", "us-federal"),
    ],
)
def test_the_laws_of_the_united_states(
    number: str, moment: int, may: bool, until_or_not_before: str, rule: str
) -> None:
    verdict = judge(number, moment)
    told = verdict.until if may else verdict.not_before
    assert (verdict.may, utc(told)) == (may, until_or_not_before)
    assert verdict.rule == rule


def test_a_country_without_a_rule_may_be_texted_at_any_time() -> None:
    assert judge(TORONTO, at("2026-11-28T03:00")) == Verdict(True, zones=("America/Toronto",))


@pytest.mark.parametrize(
    ("number", "closes"), [("+16045550123", "04:00"), ("+14035550123", "03:00"), ("+12045550123", "02:00")]
)
def test_british_columbia_alberta_and_manitoba_keep_summer_time_since_2026(number: str, closes: str) -> None:
    """A machine whose system has data of 2025 knows it too."""
    policy = {"rules": (own("08:00", "21:00"),)}
    assert utc(judge(number, at("2026-07-15T18:00"), **policy).until) == f"2026-07-16T{closes}"
    assert utc(judge(number, at("2026-12-15T18:00"), **policy).until) == f"2026-12-16T{closes}"


def test_an_account_may_be_stricter_in_every_country() -> None:
    policy = {"rules": (own("10:00", "18:00", (0, 1, 2, 3, 4)),)}
    friday = at("2026-11-27T19:00", "America/Toronto")
    verdict = judge(TORONTO, friday, **policy)
    assert (verdict.may, verdict.rule, utc(verdict.not_before)) == (False, ACCOUNT, "2026-11-30T15:00")
    assert utc(verdict.until) == "2026-11-30T23:00"


def test_what_is_stricter_counts_whoever_says_it() -> None:
    late = at("2026-11-28T20:30", "America/New_York")
    assert judge(NEW_YORK, late).may
    assert not judge(NEW_YORK, late, rules=(*US, own("08:00", "20:00"))).may
    assert not judge(NEW_YORK, at("2026-11-28T07:30", "America/New_York"), rules=(*US, own("07:00", "23:00"))).may


@pytest.mark.parametrize(
    ("day", "not_before"), [("2026-11-28", "2026-11-28T18:00"), ("2026-11-29", "2026-11-29T19:00")]
)
def test_anywhere_in_the_country_it_is_the_strictest_of_all_states_and_zones(day: str, not_before: str) -> None:
    """8 in Honolulu, and noon in El Paso on a Sunday; 20:00 in Connecticut."""
    verdict = judge(NEW_YORK, at(f"{day}T12:00", "America/New_York"), anywhere=True)
    until = at(f"{day}T20:00", "America/New_York")
    assert (verdict.may, utc(verdict.not_before), verdict.until) == (False, not_before, until)


def test_hours_that_no_moment_meets_leave_none() -> None:
    verdict = judge("+79161234567", at("2026-11-28T12:00"), rules=(own("12:00", "13:00"),))
    assert verdict.zones
    assert (verdict.may, verdict.not_before, verdict.until) == (False, None, None)


def test_a_contact_s_own_zone_counts_before_its_area_code() -> None:
    morning = at("2026-11-28T08:30", "America/New_York")
    assert judge(NEW_YORK, morning).may
    verdict = judge(NEW_YORK, morning, Given(zone="America/Los_Angeles"))
    assert (verdict.may, verdict.zones) == (False, ("America/Los_Angeles",))


def test_a_contact_s_own_state_brings_its_law_and_the_strictest_of_its_zones() -> None:
    """El Paso is an hour behind Austin."""
    evening = at("2026-11-28T08:30", "America/Denver")
    assert judge(AUSTIN, evening).may
    verdict = judge(NEW_YORK, evening, Given(state="TX"))
    assert (verdict.may, verdict.rule, utc(verdict.not_before)) == (False, "us-tx", "2026-11-28T16:00")


@pytest.mark.parametrize(
    ("without_zone", "may", "zones"),
    [("closed", False, ()), ("open", True, ()), ("Europe/Berlin", True, ("Europe/Berlin",))],
)
def test_an_account_says_what_becomes_of_numbers_without_a_zone(
    without_zone: str, may: bool, zones: tuple[str, ...]
) -> None:
    verdict = judge(TOLL_FREE, at("2026-11-28T12:00"), without_zone=without_zone)
    assert (verdict.may, verdict.zones) == (may, zones)


@pytest.mark.parametrize("zone", ["America/New_York", "US/Eastern", "America/Detroit"])
def test_the_rules_of_a_state_apply_in_every_zone_with_its_time(zone: str) -> None:
    evening = at("2026-12-01T20:30", "America/New_York")
    verdict = judge(TOLL_FREE, evening, Given(zone=zone), rules=chosen(["us-federal", "us-fl"]))
    assert (verdict.may, verdict.rule) == (False, "us-fl")


def test_the_rules_of_a_state_do_not_apply_in_a_zone_with_another_time() -> None:
    evening = at("2026-12-01T20:30", "America/Los_Angeles")
    assert judge(TOLL_FREE, evening, Given(zone="America/Los_Angeles"), rules=chosen(["us-federal", "us-fl"])).may


def test_a_capped_contact_waits_for_a_day_and_then_for_its_hours() -> None:
    hours = SendingHours(Policy(rules=US, caps=True))
    sent = [at(f"2026-11-28T{hour}:00", "America/New_York") for hour in ("09", "19", "19")]
    now = at("2026-11-28T19:30", "America/New_York")
    verdict = hours.judge(MIAMI, now, None, sent)
    assert (verdict.may, verdict.reason, verdict.rule) == (False, CAPPED, "us-fl")
    assert verdict.not_before == sent[0] + CAP_MS
    late = [each + 12 * HOUR for each in sent]
    verdict = hours.judge(MIAMI, now + 12 * HOUR, None, late)
    assert (verdict.reason, utc(verdict.not_before)) == (QUIET, "2026-11-30T13:00")


def test_caps_of_rules_count_where_the_account_says_so_and_only_in_their_state() -> None:
    now = at("2026-11-28T12:00", "America/New_York")
    sent = [now - HOUR] * 3
    assert SendingHours(Policy(rules=US)).judge(MIAMI, now, None, sent).may
    assert SendingHours(Policy(rules=US, caps=True)).judge(NEW_YORK, now, None, sent).may
    assert not SendingHours(Policy(rules=US, caps=True)).judge(MIAMI, now, None, sent).may


@pytest.mark.parametrize(
    ("policy", "counts"),
    [
        (Policy(), False),
        (Policy(rules=US), False),
        (Policy(rules=US, caps=True), True),
        (Policy(rules=chosen(["us-tx"]), caps=True), False),
        (Policy(cap=2), True),
    ],
)
def test_messages_are_counted_only_where_a_cap_asks_for_it(policy: Policy, counts: bool) -> None:
    assert policy.counts is counts


def test_what_was_worked_out_for_one_day_is_not_taken_for_another() -> None:
    hours = SendingHours(Policy(rules=US))
    assert utc(hours.judge(NEW_YORK, at("2026-11-28T12:00")).not_before) == "2026-11-28T13:00"
    assert utc(hours.judge(NEW_YORK, at("2027-06-28T12:30")).until) == "2027-06-29T01:00"
    assert utc(hours.judge(NEW_YORK, at("2026-11-28T12:00")).not_before) == "2026-11-28T13:00"


def test_openings_touch_at_midnight_and_what_never_closes_has_no_end() -> None:
    ((always,),) = openings([("Europe/Berlin", own("00:00", "24:00"))], date(2026, 11, 28))
    assert always.ends == FOREVER
    verdict = judge("+33612345678", at("2026-11-28T12:00"), rules=(own("00:00", "24:00"),))
    assert (verdict.may, verdict.until, verdict.rule) == (True, None, None)
    (weekends,) = openings([("Europe/Berlin", own("00:00", "24:00", (5, 6)))], date(2026, 11, 26))
    assert [timedelta(milliseconds=each.ends - each.begins) for each in weekends] == [timedelta(days=2)] * 2
