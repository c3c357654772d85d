"""The settings reader: no record can keep later ones from being applied."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

import bus.reading.outside
from accounts.store import AccountsReader, SettingsTooNew
from bus.memory import MemoryKafka
from bus.memory import Record as Written
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry, RegistryError
from schemas.records import AccountConfig, EndpointConfig, Record

CODEC = Codec(FolderRegistry())
TOPIC = ("config.accounts", 0)


class Log:
    """The topic of accounts, and a consumer of it that only stops at `errors`."""

    def __init__(self) -> None:
        self.kafka = MemoryKafka()
        self.consumer = self.kafka.reader()
        self.errors = self.consumer.failing

    def write(self, key: bytes | None, value: Record | bytes | None) -> None:
        data = CODEC.encode(value) if isinstance(value, AccountConfig | EndpointConfig) else value
        records = self.kafka.logs[TOPIC]
        records.append(Written(*TOPIC, len(records), key, data))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """Set what settings readers read during the test; they wait for less than a millisecond."""
    log, rest = Log(), asyncio.sleep
    monkeypatch.setattr(bus.reading.outside, "new_consumer", lambda *_, **__: log.consumer)
    monkeypatch.setattr("bus.reading.followed.asyncio.sleep", lambda seconds: rest(min(seconds, 0.001)))
    return log


@pytest.fixture
async def reader(log: Log, tmp_path: Path) -> AsyncIterator[AccountsReader]:
    reader = AccountsReader(BusSettings(data_dir=tmp_path), CODEC)
    await reader.start()
    yield reader
    await reader.stop()


async def known(reader: AccountsReader, account: str) -> None:
    async with asyncio.timeout(2):
        while account not in reader.view.accounts:
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"\xff\xfe", AccountConfig(id="odd", name="Odd")),
        (b"\xff\xfe", None),
        (None, None),
        (b"nobody", None),
        (b"acme", b""),
        (b"acme", b"\x00\x00\x00\xff\xffgarbage"),
        (b"acme", b"\x00" + b"\xff" * 40),
        (b"a/b/c", EndpointConfig(account="", id="", url="", secret="", events=())),
    ],
)
async def test_what_comes_after_an_odd_record_is_applied(
    reader: AccountsReader, log: Log, key: bytes | None, value: Any
) -> None:
    log.write(key, value)
    log.write(b"next", AccountConfig(id="next", name="Next"))
    await known(reader, "next")


async def test_a_listener_that_raises_is_told_the_next_change_and_so_are_the_others(
    reader: AccountsReader, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def fail(topic: str, key: str) -> None:
        heard.append(f"failing {key}")
        raise ZeroDivisionError

    reader.on_change += [fail, lambda topic, key: heard.append(key)]
    with caplog.at_level(logging.ERROR):
        for name in ("one", "two"):
            log.write(name.encode(), AccountConfig(id=name, name=name))
            await known(reader, name)
    assert heard == ["failing one", "one", "failing two", "two"]
    assert "setting one in config_accounts has not reached every reader yet" in caplog.text


async def test_a_setting_that_cannot_be_put_leaves_what_was_there(
    reader: AccountsReader, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = reader.view.put
    unreadable: list[str] = []

    def fail(config: Any) -> None:
        if config.id == "odd":
            raise TypeError("unhashable")
        put(config)

    monkeypatch.setattr(reader.view, "put", fail)
    monkeypatch.setattr(reader.view, "unreadable", lambda topic, key: unreadable.append(key))
    log.write(b"odd", AccountConfig(id="odd", name="Odd"))
    log.write(b"next", AccountConfig(id="next", name="Next"))
    await known(reader, "next")
    assert unreadable == ["odd"]


@pytest.mark.parametrize("error", [KafkaConnectionError(), RuntimeError("a bug of the client")])
async def test_after_any_error_it_goes_on_where_it_stood(reader: AccountsReader, log: Log, error: Exception) -> None:
    log.errors.append(error)
    log.write(b"next", AccountConfig(id="next", name="Next"))
    await known(reader, "next")


async def test_a_setting_waits_for_the_registry_that_knows_its_schema(
    reader: AccountsReader, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, tries = CODEC.decode, iter([RegistryError("does not answer")] * 2)

    def sometimes(data: bytes | None) -> Record:
        if (error := next(tries, None)) is not None:
            raise error
        return decode(data)

    monkeypatch.setattr(CODEC, "decode", sometimes)
    log.write(b"acme", AccountConfig(id="acme", name="Acme"))
    await known(reader, "acme")


OF_NO_SCHEMA = b"\x00\x00\x00\xff\xffwritten by a newer version"


@pytest.mark.parametrize("clears", [AccountConfig(id="acme", name="Acme"), None])
async def test_nothing_starts_while_a_setting_is_of_a_newer_version(
    log: Log, tmp_path: Path, clears: AccountConfig | None
) -> None:
    log.write(b"acme", AccountConfig(id="acme", name="Acme"))
    log.write(b"acme", OF_NO_SCHEMA)
    refused = AccountsReader(BusSettings(data_dir=tmp_path), CODEC)
    with pytest.raises(SettingsTooNew, match=r"1 settings .* such as acme in config_accounts\. .*upgrade\.md"):
        await refused.start()
    await refused.stop()
    log.write(b"acme", clears)
    reader = AccountsReader(BusSettings(data_dir=tmp_path), CODEC)
    await reader.start()
    await reader.stop()


async def test_one_that_runs_keeps_what_it_read_before(reader: AccountsReader, log: Log) -> None:
    log.write(b"acme", AccountConfig(id="acme", name="Acme"))
    log.write(b"acme", OF_NO_SCHEMA)
    log.write(b"next", AccountConfig(id="next", name="Next"))
    await known(reader, "next")
    assert reader.view.accounts["acme"].name == "Acme"
