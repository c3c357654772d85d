"""An account's policy, and whether a message may be sent to a place at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from hours.openings import FOREVER, Opening, at_or_after, common, openings
from hours.places import Given, Place, clock_of, place_of, state_clocks, with_given
from hours.rules import Rule

ACCOUNT, CAP, NO_ZONE = "account", "account-cap", "no-time-zone"
"""The account's own rules: its hours, its cap, and not texting a number without a zone."""

BY_NUMBER, BY_COUNTRY = "number", "country"
"""Values of `sending_zones`: the zones of the number's prefix, or every zone of its country."""

CLOSED, OPEN = "closed", "open"
"""Values of `sending_without_zone`, besides a zone."""

QUIET, CAPPED = "quiet_hours", "frequency_cap"
"""Reasons why a contact may not be texted now."""

CAP_MS = 24 * 3_600_000
MOST_CAP = 100
"""Maximum messages in 24 hours; a higher number is not a cap."""

_EPOCH = date(1970, 1, 1)
_DAY_MS = 24 * 3_600_000
_ALWAYS = (Opening(0, FOREVER, ""),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """An account's choices. `cap` is its own; `caps`: the rules' caps apply too."""

    rules: tuple[Rule, ...] = ()
    anywhere: bool = False
    without_zone: str = CLOSED
    cap: int | None = None
    caps: bool = False

    @property
    def counts(self) -> bool:
        """Whether messages to a contact must be counted."""
        return self.cap is not None or (self.caps and any(rule.cap is not None for rule in self.rules))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a message may be sent now. `not_before` (ms): when it may be sent, if not now; None: at no known time.
    `until`: the end of the current interval, or of the one at `not_before`; None: open-ended. `rule`: the rule that
    forbids it, or ends the interval. `zones`: the zones considered."""

    may: bool
    reason: str | None = None
    not_before: int | None = None
    until: int | None = None
    rule: str | None = None
    zones: tuple[str, ...] = ()


class Openings(NamedTuple):
    """When each rule in each zone of a place allows messages, and when all do."""

    single: list[tuple[Opening, ...]]
    common: tuple[Opening, ...]


class SendingHours:
    """Judges by one policy. Caches its results for a place, a day, and a moment."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._day = self._now = -1
        self._openings: dict[Place, Openings] = {}
        self._verdicts: dict[Place, Verdict] = {}
        self._caps: dict[Place, tuple[int | None, str]] = {}

    def judge(self, number: str, now: int, given: Given | None = None, sent: Sequence[int] = ()) -> Verdict:
        """Decide whether a number (E.164) may be texted `now` (ms). `sent`: when it was sent messages (ms), sorted."""
        if now != self._now:
            self._move(now)
        place = place_of(number, anywhere=self.policy.anywhere)
        if given is not None:
            place = with_given(place, given)
        verdict = self._verdicts.get(place)
        if verdict is None:
            verdict = self._verdicts[place] = self._by_hours(place, now)
        return self._by_cap(place, now, sent, verdict) if sent else verdict

    def _move(self, now: int) -> None:
        self._now = now
        self._verdicts.clear()
        if now // _DAY_MS != self._day:
            self._day = now // _DAY_MS
            self._openings.clear()
            self._caps.clear()

    def _by_hours(self, place: Place, at: int) -> Verdict:
        if not self.policy.rules:
            return Verdict(True, zones=place.zones)
        if not place.zones:
            return self._without_zone(place, at)
        known = self._openings.get(place)
        if known is None:
            pairs = [(zone, rule) for rule in self.policy.rules for zone in _zones_of(rule, place)]
            found = openings(pairs, _EPOCH + timedelta(days=self._day))
            known = self._openings[place] = Openings(found, common(found) if found else _ALWAYS)
        opening = at_or_after(known.common, at)
        if opening is None:
            return Verdict(False, QUIET, rule=_forbidding(known.single, at), zones=place.zones)
        until = None if opening.ends == FOREVER else opening.ends
        if opening.begins <= at:
            return Verdict(True, until=until, rule=None if until is None else opening.rule, zones=place.zones)
        return Verdict(False, QUIET, opening.begins, until, _forbidding(known.single, at), place.zones)

    def _without_zone(self, place: Place, at: int) -> Verdict:
        match self.policy.without_zone:
            case "open":
                return Verdict(True)
            case "closed":
                return Verdict(False, QUIET, rule=NO_ZONE)
            case zone:
                return self._by_hours(replace(place, zones=(zone,)), at)

    def _by_cap(self, place: Place, now: int, sent: Sequence[int], verdict: Verdict) -> Verdict:
        known = self._caps.get(place)
        if known is None:
            known = self._caps[place] = self._cap(place, now)
        cap, rule = known
        if cap is None or len(sent) < cap or sent[-cap] + CAP_MS <= now:
            return verdict
        # This one must be a day old before another may follow.
        then = sent[-cap] + CAP_MS
        later = self._by_hours(place, then)
        not_before = then if later.may else later.not_before
        reason, rule = (CAPPED, rule) if verdict.may else (verdict.reason or QUIET, verdict.rule or rule)
        return Verdict(False, reason, not_before, later.until, rule, verdict.zones)

    def _cap(self, place: Place, now: int) -> tuple[int | None, str]:
        """Return the lowest applicable cap, and its rule."""
        found = [] if self.policy.cap is None else [(self.policy.cap, CAP)]
        if self.policy.caps:
            today = datetime.fromtimestamp(now / 1000, UTC).date()
            found += [
                (rule.cap, rule.id)
                for rule in self.policy.rules
                if rule.cap is not None and rule.holds_on(today) and rule.holds_in(place.country, place.states)
            ]
        return min(found, default=(None, ""))


def _zones_of(rule: Rule, place: Place) -> tuple[str, ...]:
    """Return the zones of a place where a rule applies: for a state where somebody only may be, those with that state's
    time, whatever their names. US/Eastern and America/Detroit have New York's."""
    if not rule.holds_in(place.country, place.states):
        return ()
    if rule.state is None or place.states is not None:
        return place.zones
    clocks = state_clocks(rule.state)
    return tuple(zone for zone in place.zones if clock_of(zone) in clocks)


def _forbidding(single: Sequence[tuple[Opening, ...]], at: int) -> str | None:
    """Return the rule that forbids a time: the longest-lasting one, and among equals the last one chosen."""
    found = None
    longest = 0
    for times in single:
        opening = at_or_after(times, at)
        begins = FOREVER if opening is None else opening.begins
        if at < begins and longest <= begins:
            longest, found = begins, times[0].rule if times else None
    return found
