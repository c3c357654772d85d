"""Whether a number may be texted from a list now: by its record, pending commands, lost records, and the time at its
location.

The first "no" is the answer. Anything uncertain is held, which is never a yes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Final, NamedTuple

import orjson

from accounts.suppression import LIST_SCOPE
from console.contacts.places import ContactPlaces
from console.contacts.view import ContactsView
from console.http.fields import number
from hours.policy import SendingHours, Verdict
from schemas.cloudevents import iso_time
from schemas.codec import CodecError
from schemas.ids import recipient_key
from schemas.records import ContactState

MARKETING: Final = "marketing"
TRANSACTIONAL: Final = "transactional"
"""A message's purpose. Rules about the time of day and caps apply to marketing only."""

UNKNOWN_STATE = "unknown_state"
"""Reason for a hold because the record is unknown."""

_NOTHING: Mapping[str, Any] = {
    "may_be_texted": False,
    "reason": None,
    "since": None,
    "scope": "list",
    "held": False,
    "failures": 0,
    "not_before": None,
    "until": None,
    "time_zones": (),
    "rule": None,
    "code": None,
}


class Question(NamedTuple):
    """What all numbers of a request have in common. `listed` is None if the list is not the account's; `hours` is None
    if the time does not matter. `now` is in ms."""

    view: ContactsView
    places: ContactPlaces
    account: str
    listed: str | None
    hours: SendingHours | None
    now: int
    is_clear: bool = False

    @property
    def counts(self) -> bool:
        """Whether messages to the contacts are counted for it."""
        return self.hours is not None and self.hours.policy.counts

    def answers_to(self, texts: Iterable[str]) -> bytes:
        """Return an answer for each number as written: a JSON array."""
        phones = [(text, self._usual(text)) for text in texts]
        usual = iter(self._of_usual([phone for _, phone in phones if phone is not None]))
        answers = [orjson.dumps(self.answer(text)) if phone is None else next(usual) for text, phone in phones]
        return b"[" + b",".join(answers) + b"]"

    def _usual(self, text: str) -> str | None:
        """Return the number if a single lookup in each copy answers it; None: use `answer`."""
        try:
            phone = number(text)
        except ValueError:
            return None
        return phone if self.listed is not None and self.view.recorded.finds_at_once(phone) else None

    def _of_usual(self, phones: Sequence[str]) -> Iterator[bytes]:
        recipients = [recipient_key(self.account, phone) for phone in phones]
        states = self.view.recorded.standings(self.account, self.listed or "", phones)
        holds: Iterable[str | None] = repeat(None) if self.is_clear else self.view.orders.pending_of(recipients)
        if self.view.lost.doubts:
            holds = (hold or self._lost(phone) for hold, phone in zip(holds, phones, strict=False))
        endings: dict[int, tuple[Verdict, bytes]] = {}
        for phone, state, hold, timing in zip(phones, states, holds, self._timings(phones, recipients), strict=False):
            if isinstance(state, CodecError):
                yield orjson.dumps(_unreadable(phone))
                continue
            if state is not None or hold is not None:
                yield orjson.dumps(_answer(phone, state, hold, timing))
                continue
            # Many numbers differ in nothing else. The verdict is kept alive, so that no other gets its id.
            known = endings.get(id(timing))
            if known is None:
                known = endings[id(timing)] = timing, orjson.dumps(_answer("", None, None, timing))[len(_BEGIN) :]
            yield _BEGIN + phone.encode() + known[1]

    def _timings(self, phones: Sequence[str], recipients: Sequence[bytes]) -> Iterator[Verdict]:
        if self.hours is None:
            return repeat(_ANY_TIME)
        sent = self.view.sent.times_of(recipients, self.now) if self.counts else repeat(())
        return map(self.hours.judge, phones, repeat(self.now), self.places.given_of(recipients), sent)

    def answer(self, text: str) -> dict[str, Any]:
        """Return the fields of one answer."""
        try:
            phone = number(text)
        except ValueError:
            return {"number": text, **_NOTHING, "code": "invalid_number"}
        if self.listed is None:
            return {"number": phone, **_NOTHING, "code": "unknown_list"}
        try:
            state = self.view.recorded.standing(self.account, self.listed, phone)
            person = phone if phone.startswith("+") else self.view.recorded.goes_by(self.account, phone)
        except CodecError:
            return _unreadable(phone)
        hold = self.pending(phone) or (self.pending(person) if person != phone else None)
        return _answer(phone, state, hold, self.timing(person))

    def verdict(self, phone: str) -> Verdict:
        """Return whether a number (E.164) may be texted now, whatever the list, given no pending command."""
        timing = self.timing(phone)
        hold = self.pending(phone)
        return timing if hold is None else Verdict(False, hold, zones=timing.zones)

    def pending(self, phone: str) -> str | None:
        """Return why it is uncertain that a contact recorded as textable may be texted, or None."""
        hold = None if self.is_clear else self.view.orders.pending(self.account, phone)
        return hold or self._lost(phone)

    def _lost(self, phone: str) -> str | None:
        """Return why a contact is held for lost records, or None."""
        return self.view.lost.hold(self.account, phone, is_mixed=self.view.recorded.is_mixed(self.account))

    def timing(self, phone: str) -> Verdict:
        """Return whether now is the time to text a number (E.164)."""
        if self.hours is None:
            return _ANY_TIME
        sent = self.view.sent.times(self.account, phone, self.now) if self.counts else ()
        return self.hours.judge(phone, self.now, self.places.given(self.account, phone), sent)


def _answer(phone: str, state: ContactState | None, hold: str | None, timing: Verdict) -> dict[str, Any]:
    """Return the answer's fields, from the record, pending commands, and the time."""
    answer = {"number": phone, **_NOTHING, "time_zones": timing.zones}
    if state is not None:
        answer["since"] = iso_time(state.since) if state.since else None
        answer["scope"] = "list" if state.scope == LIST_SCOPE else "account"
        answer["held"] = state.held
        answer["failures"] = state.failures
        if not state.active:
            answer["reason"] = state.reason
            return answer
    if hold is not None:
        answer["reason"], answer["held"] = hold, True
        return answer
    answer["may_be_texted"], answer["reason"] = timing.may, timing.reason
    answer["not_before"] = None if timing.not_before is None else iso_time(timing.not_before)
    answer["until"] = None if timing.until is None else iso_time(timing.until)
    answer["rule"] = timing.rule
    return answer


def _unreadable(phone: str) -> dict[str, Any]:
    return {"number": phone, **_NOTHING, "reason": UNKNOWN_STATE, "held": True, "code": "unreadable_state"}


_BEGIN = b'{"number":"'

_ANY_TIME = Verdict(True)
