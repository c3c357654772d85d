"""A body on which its parser fails is rejected whole and alone, and never counts as a failure of the worker."""

from __future__ import annotations

from typing import Any

import pytest

from bus.memory import CODEC, MemoryKafka, make_durable
from bus.tables.store import StoreFailed
from providers.infobip import Infobip
from schemas.records import RejectedRecord
from streams.normalize import normalize
from streams.unknown_codes import UnknownCodes
from tests.unit.providers.provider_callbacks import infobip

RAW = CODEC.encode(infobip({"messageId": "m-1"}))


def fail_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: Infobip, callback: Any) -> list[Any]:
        raise error

    monkeypatch.setattr(Infobip, "read", read)


async def test_what_a_parser_fails_on_is_rejected_and_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(ZeroDivisionError("a bug"), monkeypatch)
    kafka = MemoryKafka()
    batch = kafka.batch([])
    source = kafka.admitted("sms.raw", None, RAW)
    with batch.attempt(source):
        normalize(batch, source, CODEC, UnknownCodes(lambda provider: None))
    await make_durable(batch)
    (rejected,) = [CODEC.decode(record.value) for record in kafka.sent]
    assert isinstance(rejected, RejectedRecord)
    assert (rejected.reason, rejected.account, rejected.source_value) == ("internal_error", "acme", RAW)
    assert batch.failed == 0


async def test_an_error_of_the_machine_is_none_of_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(StoreFailed("no space left"), monkeypatch)
    kafka = MemoryKafka()
    batch = kafka.batch([])
    source = kafka.admitted("sms.raw", None, RAW)
    with pytest.raises(StoreFailed), batch.attempt(source):
        normalize(batch, source, CODEC, UnknownCodes(lambda provider: None))
    assert not any(batch.steps())
