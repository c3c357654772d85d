from __future__ import annotations

import pytest
from msgspec.structs import replace

from operations.replays import Known, Order
from schemas.records import ReplayProgress

NOW = 1_795_000_000_000
COMMAND = Order("acme/crm", "dead").command("ann", NOW)
PROGRESS = ReplayProgress(
    replay_id=COMMAND.replay_id,
    state="running",
    positions={"t/0": 3, "t/1": 9},
    ends={"t/0": 10, "t/1": 5},
    sent=3,
    updated_at=NOW,
)
STOPPED = replace(COMMAND, stopped_at=NOW)


@pytest.mark.parametrize(("to_at", "end"), [(None, NOW), (NOW + 1, NOW), (NOW - 1, NOW - 1)])
def test_an_order_ends_before_what_comes_after_it(to_at: int | None, end: int) -> None:
    assert Order("acme/crm", "all", to_at=to_at).command(None, NOW).to_at == end


def test_orders_have_ids_of_their_own() -> None:
    assert (
        Order("acme/crm", "all").command(None, NOW).replay_id != Order("acme/crm", "all").command(None, NOW).replay_id
    )


@pytest.mark.parametrize(
    ("known", "state"),
    [
        (Known(COMMAND, None), "ordered"),
        (Known(COMMAND, PROGRESS), "running"),
        (Known(COMMAND, replace(PROGRESS, state="waiting")), "waiting"),
        (Known(STOPPED, PROGRESS), "stopping"),
        (Known(STOPPED, replace(PROGRESS, state="stopped")), "stopped"),
        (Known(STOPPED, replace(PROGRESS, state="done")), "done"),
    ],
)
def test_the_state_says_what_is_to_come(known: Known, state: str) -> None:
    assert known.state == state


def test_what_is_left_is_known_once_it_has_begun() -> None:
    assert Known(COMMAND, None).left is None
    assert Known(COMMAND, PROGRESS).left == 7
