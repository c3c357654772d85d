"""What a wider scope of opt-outs would have removed."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.records import RemovedEvent, UnsubscribeEvent
from trackly.commands.compare.scope_change import line_of, reach, wish_of

ONE, TWO, THREE = "+18005550001", "+18005550002", "+18005550003"
ANN, BOB = "+15551230001", "+15551230002"


def unsubscribe(**changes: Any) -> UnsubscribeEvent:
    known: dict[str, Any] = {
        "event_id": "evt_1", "account": "acme", "provider": "twilio", "phone_number": ANN, "list_number": ONE,
        "keyword": "STOP", "reason": "message", "timestamp": 1,
    }  # fmt: skip
    return UnsubscribeEvent(**known | changes)


def removed(reason: str) -> RemovedEvent:
    return RemovedEvent(
        event_id="evt_1", account="acme", provider="infobip", phone_number=ANN, list_number=ONE, reason=reason,
        message_id="m-1", timestamp=1,
    )  # fmt: skip


def test_who_asked_on_one_list_would_be_removed_from_the_others() -> None:
    found = reach({ANN: {ONE}, BOB: {ONE, TWO}}, [THREE, ONE, TWO], lambda listed, number: listed != ONE)
    assert [line_of(each) for each in found] == [
        {"list_number": ONE, "would_be_removed": 0, "examples": []},
        {"list_number": TWO, "would_be_removed": 1, "examples": ["+15…01"]},
        {"list_number": THREE, "would_be_removed": 2, "examples": ["+15…01", "+15…02"]},
    ]


def test_who_is_out_already_would_not_be_removed_again() -> None:
    [found] = reach({ANN: {ONE}, BOB: {ONE}}, [TWO], lambda listed, number: number == BOB)
    assert (found.would_be_removed, found.examples) == (1, ["+15…02"])


def test_examples_are_few() -> None:
    [found] = reach({f"+1555123{n:04}": {ONE} for n in range(9)}, [TWO], lambda listed, number: True, examples=2)
    assert (found.would_be_removed, len(found.examples)) == (9, 2)


@pytest.mark.parametrize(
    ("event", "wish"),
    [
        (unsubscribe(), (ANN, ONE)),
        (unsubscribe(account="other"), None),
        (unsubscribe(list_number=None), None),
        (removed("complaint"), (ANN, ONE)),
        (removed("invalid_contact"), None),
        (removed("bad_response"), None),
    ],
)
def test_opt_outs_and_complaints_are_what_people_asked_for(event: Any, wish: tuple[str, str] | None) -> None:
    assert wish_of(event, "acme") == wish
