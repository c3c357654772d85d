from __future__ import annotations

import pytest

from operations.trials import TEST_PREFIX, trial_event
from outbound.bodies import SHAPES, body_of, event_name


@pytest.mark.parametrize("event", [shape.event for shape in SHAPES.values()])
def test_every_kind_of_event_can_be_tried(event: str) -> None:
    record = trial_event(event, "acme", 1_705_314_600_000)
    assert record.event_id.startswith(TEST_PREFIX)
    assert record.account == "acme"
    assert event_name(record) == event
    assert body_of(record).endswith(b'"timestamp":"2024-01-15T10:30:00.000Z"}')
