"""A brake on a real broker holds what a burst of dead numbers would remove, through kills, until a decision."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.records import AccountConfig, ContactState, ListConfig, RemovalsHeld, RemovedEvent
from tests.cluster import Cluster, running
from tests.patience import http, until

pytestmark = pytest.mark.broker

LIST = "+18005550001"
COUNT, MOST = 400, 80
NUMBERS = [f"+1555010{n:04}" for n in range(COUNT)]
CONFIGS = [
    AccountConfig(id="acme", name="Acme"),
    ListConfig(account="acme", number=LIST, brake_share=0.0, brake_minimum=MOST),
]


def post(cluster: Cluster, numbers: list[str]) -> None:
    results = [
        {
            "messageId": f"ib-{number}",
            "to": number,
            "sender": LIST,
            "status": {"groupId": 5, "id": 52, "name": "REJECTED_DESTINATION"},
        }
        for number in numbers
    ]
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
    assert http.post(url, json={"results": results}).status_code == 200


def states(cluster: Cluster) -> dict[str, ContactState]:
    """The newest state of each contact."""
    found: dict[str, ContactState] = {}
    for state in cluster.records("contacts"):
        if isinstance(state, ContactState) and state.version >= found.get(state.contact, state).version:
            found[state.contact] = state
    return found


def removals(cluster: Cluster) -> dict[str, RemovedEvent]:
    """Return the events sent to customers, each id once."""
    return {event.event_id: event for event in cluster.records("removed") if isinstance(event, RemovedEvent)}


def test_a_brake_holds_and_a_yes_is_carried_out_through_kills(broker: str, tmp_path: Path) -> None:
    with running(broker, tmp_path, "brk", CONFIGS, "ingest", "streams-1") as cluster:
        for first in range(0, COUNT, 100):
            post(cluster, NUMBERS[first : first + 100])
            if first == 100:
                cluster.kill("streams-1")
                cluster.start("streams-1")
        until(lambda: len(states(cluster)) == COUNT)
        held = [state for state in states(cluster).values() if state.held]
        removed = [state for state in states(cluster).values() if not state.active and not state.held]
        partitions = cluster.settings.partitions
        assert len(held) + len(removed) == COUNT
        assert len(removed) <= -(-MOST // partitions) * partitions
        assert len(removals(cluster)) == len(removed)
        alerts = [alert for alert in cluster.records("alerts") if isinstance(alert, RemovalsHeld)]
        assert len({alert.event_id for alert in alerts}) == len({alert.partition for alert in alerts}) > 0

        shown = cluster.trackly("brake", "list", "acme", "--json")
        assert shown.returncode == 0, shown.stderr
        assert json.loads(shown.stdout)["contacts"] == len(held)
        done = cluster.trackly("brake", "confirm", "acme", LIST, "--yes")
        assert done.returncode == 0, done.stderr
        cluster.kill("streams-1")
        cluster.start("streams-1")
        until(lambda: not any(state.held for state in states(cluster).values()))
        until(lambda: len(removals(cluster)) == COUNT)
        assert not any(state.active for state in states(cluster).values())
        assert {event.phone_number for event in removals(cluster).values()} == set(NUMBERS)
        assert {event.reason for event in removals(cluster).values()} == {"invalid_contact"}
