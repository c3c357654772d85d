"""Questions to Kafka are repeated until there is an answer, unless repeating cannot help."""

from __future__ import annotations

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    UnsupportedVersionError,
)

import bus.insisting
from bus.insisting import insist


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus.insisting, "PAUSE", 0.0)


@pytest.mark.parametrize("passing", [KafkaTimeoutError, RequestTimedOutError, KafkaConnectionError, NodeNotReadyError])
async def test_it_asks_again_when_a_broker_is_slow_or_away(passing: type[KafkaError]) -> None:
    answers = iter([passing(), passing(), 7])

    async def ask() -> int:
        answer = next(answers)
        if isinstance(answer, KafkaError):
            raise answer
        return answer

    assert await insist("a number", ask) == 7


@pytest.mark.parametrize("lasting", [TopicAuthorizationFailedError, UnsupportedVersionError])
async def test_it_raises_what_asking_again_does_not_mend(lasting: type[KafkaError]) -> None:
    async def ask() -> int:
        raise lasting

    with pytest.raises(lasting):
        await insist("a number", ask)
