"""The output of `trackly brake list`, from the states of contacts."""

from __future__ import annotations

from schemas.records import ContactState
from trackly.commands.brake import holdings, line_of

LIST = "+18005551234"


def state(nth: int, *, list_number: str = LIST, held: bool = True, reason: str = "invalid_contact") -> ContactState:
    return ContactState(
        contact=f"acme:{list_number}:+1555000{nth:04}",
        account="acme",
        list_number=list_number,
        phone_number=f"+1555000{nth:04}",
        active=False,
        failures=0,
        reason=reason,
        since=1_705_314_600_000 - nth * 1_000,
        last_event_id="evt_1",
        held=held,
    )


def test_what_is_held_is_told_by_list_with_its_reasons_and_since_when() -> None:
    states = [state(1), state(2, reason="complaint"), state(3), state(4, held=False), state(5, list_number="")]
    assert [line_of(each) for each in holdings(states)] == [
        {
            "list_number": "all",
            "contacts": 1,
            "reasons": {"invalid_contact": 1},
            "since": "2024-01-15T10:29:55.000Z",
        },
        {
            "list_number": LIST,
            "contacts": 3,
            "reasons": {"invalid_contact": 2, "complaint": 1},
            "since": "2024-01-15T10:29:57.000Z",
        },
    ]


def test_of_removed_contacts_nothing_is_held() -> None:
    assert holdings([state(1, held=False)]) == []
