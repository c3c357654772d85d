"""What a producer knows of the records that Kafka has not acknowledged."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError

from bus.outstanding import FAILED_LATELY, ONLY_FAILS, OVERTAKEN, WAITS_LONG, Outstanding
from bus.sent import Sent
from tests.clock import MovedClock


class Records:
    """A producer's records, and their clock."""

    def __init__(self) -> None:
        self.clock = MovedClock(1_000.0)
        self.outstanding = Outstanding(self.clock)

    def given(self, seconds_ago: float = 0.0) -> Sent:
        """Return a record that a producer has accepted."""
        sent = self.asking(seconds_ago)
        self.outstanding.asked(sent)
        self.outstanding.give(sent)
        return sent

    def asking(self, seconds_ago: float = 0.0) -> Sent:
        """Return a record that no producer has accepted yet."""

        async def give(producer: Any) -> asyncio.Future[Any]:
            raise AssertionError("nobody gives it")

        sent = Sent(give)
        sent.since = self.clock.now - seconds_ago
        self.outstanding.ask(sent)
        return sent

    def refuse(self, sent: Sent) -> None:
        self.outstanding.fail(sent, KafkaError("refused"))
        if not sent.result.cancelled():
            sent.result.exception()  # somebody has seen it

    def expire(self, timeout: float = 300.0) -> bool:
        return self.outstanding.expire(timeout, lambda: KafkaTimeoutError("too late"))


@pytest.fixture
async def records() -> Records:
    return Records()


async def test_the_oldest_record_says_how_long_they_wait_whether_accepted_or_not(records: Records) -> None:
    assert records.outstanding.waiting == 0
    records.given(2.0)
    assert records.outstanding.waiting == 2.0
    records.asking(3.0)
    assert records.outstanding.waiting == 3.0


async def test_acknowledged_records_do_not_wait_and_their_senders_know_where_they_are(records: Records) -> None:
    sent = records.given(5.0)
    records.outstanding.acknowledge(sent, "metadata")
    assert (await sent.result, records.outstanding.waiting) == ("metadata", 0)


async def test_only_the_first_outcome_of_a_record_counts(records: Records) -> None:
    sent = records.given()
    records.refuse(sent)
    records.outstanding.acknowledge(sent, "metadata")
    records.outstanding.fail(sent, KafkaTimeoutError("too late"))
    with pytest.raises(KafkaError, match="refused"):
        await sent.result
    assert records.outstanding.failures == {"KafkaError": 1}


async def test_a_record_whose_sender_has_gone_fails_in_silence(records: Records) -> None:
    sent = records.given()
    sent.result.cancel()
    records.refuse(sent)
    assert records.outstanding.given() == []


@pytest.mark.parametrize(("seconds", "is_problem"), [(WAITS_LONG, False), (WAITS_LONG + 1, True)])
async def test_a_record_that_waits_for_long_is_a_problem(records: Records, seconds: float, is_problem: bool) -> None:
    records.given(seconds)
    assert (records.outstanding.problem() is not None) == is_problem


@pytest.mark.parametrize(
    ("later", "problem"),
    [
        ([ONLY_FAILS], None),
        ([ONLY_FAILS + 1], "Kafka rejects what is sent: KafkaError"),
        ([ONLY_FAILS + 1, FAILED_LATELY], None),
    ],
    ids=["too soon", "long enough", "too long ago"],
)
async def test_nothing_but_failures_for_a_while_is_a_problem(
    records: Records, later: list[float], problem: str | None
) -> None:
    records.refuse(records.given())
    records.clock.now += later[0]
    records.refuse(records.given())
    records.clock.now += sum(later[1:])
    assert records.outstanding.problem() == problem


async def test_one_acknowledgment_among_failures_ends_the_problem(records: Records) -> None:
    records.refuse(records.given())
    records.outstanding.acknowledge(records.given(), None)
    records.clock.now += ONLY_FAILS + 1
    records.refuse(records.given())
    assert records.outstanding.problem() is None


async def test_what_is_not_acknowledged_in_time_fails_and_counts_as_waiting_until_something_is(
    records: Records,
) -> None:
    late, newer = records.given(300.0), records.given(299.0)
    assert records.expire()
    assert isinstance(late.result.exception(), KafkaTimeoutError)
    assert records.outstanding.given() == [newer]
    records.refuse(newer)
    assert records.outstanding.waiting == 300.0
    records.outstanding.acknowledge(records.given(), None)
    assert records.outstanding.waiting == 0
    assert not records.expire()


async def test_a_sender_that_waits_too_long_for_a_producer_is_woken_once(records: Records) -> None:
    async def send() -> None:
        records.asking(300.0)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            assert not records.expire()
            await asyncio.sleep(0)
            raise

    sending = asyncio.create_task(send())
    await asyncio.sleep(0)
    assert not records.expire()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert sending.cancelling() == 1


async def test_the_oldest_record_is_overtaken_by_much_later_ones_and_then_for_twice_as_long(records: Records) -> None:
    records.given(seconds_ago=100.0)
    for seconds, overtaken in ((OVERTAKEN, None), (OVERTAKEN + 1, OVERTAKEN + 1), (2 * OVERTAKEN, None),
                               (2 * OVERTAKEN + 1, 2 * OVERTAKEN + 1)):  # fmt: skip
        records.outstanding.acknowledge(records.given(seconds_ago=100.0 - seconds), None)
        records.outstanding.acknowledge(records.given(seconds_ago=99.0), None)
        assert records.outstanding.overtaken() == overtaken


async def test_another_producer_gets_what_neither_failed_nor_lost_its_sender(records: Records) -> None:
    kept, failed, left = records.given(), records.given(), records.given()
    records.refuse(failed)
    left.result.cancel()
    assert [records.outstanding.keeps(each) for each in (kept, failed, left)] == [True, False, False]
    assert records.outstanding.given() == [kept]
