"""Law: whatever well-formed callback a provider or network sends, nothing on the way to the webhook fails."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers import NETWORKS, PROVIDERS
from providers.bounds import DAY
from schemas.records import InboundMessage, LinkClick, Postback, RawCallback, Receipt, RejectedRecord
from tests.examples import examples as tries
from tests.unit.providers.test_contract import examples
from tests.unit.providers.test_networks_contract import EXAMPLES, get
from tests.unit.streams.extreme_callbacks import extreme
from tests.unit.streams.whole_way import normalized, of_click, of_contact, webhooks

CALLBACKS = [
    *(raw for name in sorted(PROVIDERS) for raw in examples(name)),
    *(get(name, EXAMPLES[name]) for name in sorted(NETWORKS)),
]
"""One callback of each kind."""


@pytest.mark.parametrize("raw", CALLBACKS, ids=lambda raw: raw.provider)
@given(data=st.data())
@settings(max_examples=tries(15), suppress_health_check=list(HealthCheck))
def test_no_extreme_value_fails_anywhere(raw: RawCallback, data: Any) -> None:
    callback = data.draw(extreme(raw))
    records = normalized(callback)
    for item in list(records):
        match item:
            case Receipt() | InboundMessage() | LinkClick():
                assert item.occurred_at is None or 0 <= item.occurred_at <= item.received_at + DAY
                records += of_contact(item)
            case Postback():
                records += of_click(item)
    reasons = [record.reason for record in records if isinstance(record, RejectedRecord)]
    assert not {"internal_error", "not_decodable"} & set(reasons), reasons
    for record in records:
        if type(record).__name__.endswith(("Event", "Callback")):
            webhooks(record)
