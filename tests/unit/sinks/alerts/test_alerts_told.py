"""The alerts reader: alerts that an account wants are gathered and sent, and only settled offsets are committed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from msgspec.structs import replace

from accounts.model import Accounts
from bus.reading.single_reader import OneReader
from outbound.outcomes import answered
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.records import AccountConfig, AlertTold, EndpointAlert
from sinks.alerts.bursts import GATHER, WINDOW
from sinks.alerts.channels import Channels
from sinks.alerts.sender import WRITE_AGAIN, Teller
from sinks.alerts.sink import MARK_SECONDS, Alerts
from tests.clock import START, MovedClock, settled
from tests.unit.sinks.alerts.test_rules import LOST
from tests.unit.sinks.sink_parts import OK, Receiver, delivered

T = TypeVar("T")

CODEC = Codec(FolderRegistry())
DISCORD = "https://discord.example/"
PLACE = TopicPartition("sms.events.delivery", 0)


class AtOnce(ThreadPoolExecutor):
    """Runs its work before it returns, so no test depends on thread scheduling."""

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(function(*args, **kwargs))
        except BaseException as error:
            done.set_exception(error)
        return done


class House:
    """Alerts without Kafka: the test supplies the records and keeps what is written."""

    def __init__(self, **account: Any) -> None:
        asyncio.get_running_loop().set_default_executor(AtOnce())
        self.receiver = Receiver()
        self.clock = MovedClock()
        self.written: list[AlertTold] = []
        self.kafka_is_away = False
        accounts = Accounts()
        accounts.put(AccountConfig(id="acme", name="acme", **{"discord_webhook_url": DISCORD, **account}))
        teller = Teller(accounts, Channels(self.receiver.post, self.clock), self._write, self.clock)
        self.alerts = Alerts(CODEC, teller, self.clock)
        self._offsets = iter(range(1_000))

    async def _write(self, record: AlertTold) -> None:
        if self.kafka_is_away:
            raise KafkaConnectionError
        self.written.append(record)

    def pause(self) -> None:
        told = {"event": "endpoint.paused", "reason": "gone", "since": 0, "timestamp": 0}
        self.read(CODEC.encode(EndpointAlert(event_id="evt_p", account="acme", endpoint="crm", **told)))

    def failure(self, **changes: Any) -> None:
        values: dict[str, Any] = {"status": "expired", "status_detail": "EXPIRED", "status_class": "transient"}
        self.read(CODEC.encode(delivered("evt_1", **(values | changes))))

    def read(self, value: bytes) -> None:
        self.alerts.take({PLACE: [SimpleNamespace(value=value, offset=next(self._offsets), timestamp=START)]})

    async def pass_time(self, seconds: float) -> None:
        await self.clock.move(seconds)
        self.alerts.tell_due()
        await settled()


@pytest.fixture
async def house() -> House:
    return House()


async def test_what_happened_is_told_and_written_down(house: House) -> None:
    house.failure()
    await house.pass_time(GATHER)
    await house.receiver.answer(OK)
    [record] = house.written
    assert (record.type, record.count, record.outcome, record.channels) == (
        "delivery_failures", 1, "told", {"discord": "told"},
    )  # fmt: skip


async def test_losses_of_opt_outs_in_several_partitions_are_one_alert(house: House) -> None:
    for partition in range(3):
        house.read(CODEC.encode(replace(LOST, partition=partition, event_id=f"evt_{partition}")))
    await house.pass_time(GATHER)
    await house.receiver.answer(OK)
    [record] = house.written
    assert (record.account, record.type, record.severity, record.count) == ("acme", "lost_opt_outs", "critical", 3)


@pytest.mark.parametrize("settings", [{"alerts_on": {"delivery_failures": False}}, {"alerts_minimum_severity": "high"}])
async def test_what_an_account_does_not_want_is_neither_told_nor_written_down(settings: dict[str, Any]) -> None:
    house = House(**settings)
    house.failure()
    await house.pass_time(GATHER)
    assert (house.receiver.requests, house.written) == ([], [])


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [({"alerts_muted_until": START + 600_000}, "muted"), ({"discord_webhook_url": None}, "no_channel")],
)
async def test_what_nobody_is_told_is_written_down(settings: dict[str, Any], outcome: str) -> None:
    house = House(**settings)
    house.failure()
    await house.pass_time(GATHER)
    assert not house.receiver.requests
    assert [record.outcome for record in house.written] == [outcome]


async def test_a_mute_that_is_over_holds_nothing_back() -> None:
    house = House(alerts_muted_until=START)
    house.failure()
    await house.pass_time(GATHER)
    assert len(house.receiver.requests) == 1


async def test_what_no_channel_takes_is_written_down_with_the_reason(house: House) -> None:
    house.failure()
    await house.pass_time(GATHER)
    await house.receiver.answer(answered(404))
    [record] = house.written
    assert (record.outcome, record.channels) == ("given_up", {"discord": "404"})


async def test_a_secret_that_is_missing_stops_no_other_channel() -> None:
    house = House(slack_webhook_url="env:NO_SUCH_VARIABLE")
    house.failure()
    await house.pass_time(GATHER)
    await house.receiver.answer(OK)
    assert house.written[0].channels == {"discord": "told", "slack": "secret_missing"}


async def test_other_accounts_and_what_cannot_be_read_are_passed_over(house: House) -> None:
    house.failure(account="unknown")
    house.read(b"garbage")
    await house.pass_time(GATHER)
    assert house.written == []
    assert house.alerts.settled() == {PLACE: 2}


async def test_nothing_is_committed_past_an_alert_that_is_not_told(house: House) -> None:
    house.read(b"garbage")
    assert house.alerts.settled() == {PLACE: 1}
    await house.clock.move(MARK_SECONDS)
    house.failure()
    house.read(b"garbage")
    assert house.alerts.settled().get(PLACE, 0) <= 1
    await house.clock.move(MARK_SECONDS)
    house.read(b"garbage")
    assert house.alerts.settled().get(PLACE, 0) <= 1
    await house.pass_time(GATHER)
    assert house.alerts.settled().get(PLACE, 0) <= 1
    await house.receiver.answer(OK)
    assert house.alerts.settled() == {PLACE: 4}


async def test_what_was_told_is_committed_although_a_later_burst_is_gathered(house: House) -> None:
    house.failure()
    await house.pass_time(GATHER)
    await house.receiver.answer(OK)
    await house.clock.move(MARK_SECONDS)
    house.failure()
    assert house.alerts.settled() == {PLACE: 1}
    await house.pass_time(WINDOW)
    await house.receiver.answer(OK)
    assert house.alerts.settled() == {PLACE: 2}


async def test_nothing_is_committed_before_it_is_written_down(house: House) -> None:
    house.kafka_is_away = True
    house.failure()
    await house.pass_time(GATHER)
    await house.receiver.answer(OK)
    assert house.alerts.settled().get(PLACE, 0) == 0
    house.kafka_is_away = False
    await house.pass_time(WRITE_AGAIN)
    assert (len(house.written), house.alerts.settled()) == (1, {PLACE: 1})


def test_one_member_of_the_group_reads_everything() -> None:
    cluster: Any = SimpleNamespace(partitions_for_topic={"a": {0, 1}, "b": {0}}.get)
    members: dict[str, Any] = {name: OneReader.metadata(["a", "b"]) for name in ("second", "first")}
    given = {name: each.assignment for name, each in OneReader.assign(cluster, members).items()}
    assert given == {"first": [("a", [0, 1]), ("b", [0])], "second": []}


class Mail:
    """A mailer whose notices the test completes."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.goes = asyncio.Event()

    def wants(self, alert: EndpointAlert) -> bool:
        return alert.endpoint == "crm"

    async def tell(self, alert: EndpointAlert) -> None:
        await self.goes.wait()
        self.told.append(alert.event)


async def test_a_pause_is_mailed_at_once_and_is_not_settled_before() -> None:
    house, mail = House(alerts_on={"endpoint_paused": False}), Mail()
    house.alerts._mailer = mail  # type: ignore[assignment]
    house.pause()
    await settled()
    assert house.alerts.settled() == {}
    mail.goes.set()
    await settled()
    assert (mail.told, house.alerts.settled()) == (["endpoint.paused"], {PLACE: 1})
