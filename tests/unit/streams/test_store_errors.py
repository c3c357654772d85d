"""An unreadable table is not a record's fault: nothing is rejected, and the record is applied later."""

from __future__ import annotations

import pytest

from bus.tables.store import StoreFailed
from streams.row import RowError
from tests.unit.streams.contact_records import DELIVERED, NUMBER, inbound, receipt
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, Stage


def stage_with_a_contact() -> Stage:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(receipt("m1", DELIVERED, 0))
    return stage


def test_an_opt_out_that_meets_a_failing_disk_is_not_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stage_with_a_contact()

    def fail(key: bytes) -> bytes:
        raise Exception("IO error: Input/output error")  # what rocksdict raises

    with monkeypatch.context() as patched:
        patched.setattr(stage._stores["contacts"][0], "get", fail)
        with pytest.raises(StoreFailed, match=r"table contacts\[0\] cannot be read: IO error"):
            stage.apply(inbound("STOP", 5_000))
    assert stage.kafka.logs["sms.rejected", 0] == []
    stage.apply(inbound("STOP", 5_000))
    assert not stage.contact(NUMBER).active


def test_a_row_that_is_none_is_not_taken_for_a_bad_record() -> None:
    stage = stage_with_a_contact()
    store = stage._stores["contacts"][0]
    (key,) = [key for key, _ in store.items()]
    store.write({key: b"\0" * 8 + b"[99]"}, None)
    with pytest.raises(RowError, match="row format 99 is unknown"):
        stage.apply(inbound("STOP", 5_000))
    assert stage.kafka.logs["sms.rejected", 0] == []
