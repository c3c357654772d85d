"""`python -m bench.history [--records N] [--callbacks N]`: what reading the past costs.

Fills `sms.events.delivery` on its own broker, then counts by a field and exports to each format with `trackly tap`;
fills `sms.raw`, and the results of every other callback, and has `trackly compare` compare them. Measures each in a
separate process: processor seconds (user and system), wall seconds, peak memory.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from msgspec.structs import replace

from bus.admin import Admin
from bus.embedded.broker import EmbeddedKafka
from bus.producer import Producer
from bus.settings import BusSettings
from providers import PROVIDERS
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.ids import derived_id, recipient_key
from schemas.records import DeliveryEvent, RawCallback, Receipt
from schemas.samples import sample

DETAILS = ("DELIVERED_TO_HANDSET", "DELIVERED_TO_OPERATOR", "REJECTED_ABSENT_SUBSCRIBER", "EXPIRED", "REJECTED_SPAM")
COLUMNS = ("what", "cpu s", "clock s", "memory MB", "file MB")


async def fill(settings: BusSettings, records: int) -> None:
    """Write delivery events of 50,000 recipients, with the headers that streams writes."""
    model = sample("DeliveryEvent")
    assert isinstance(model, DeliveryEvent)
    codec, topic = Codec(FolderRegistry()), settings.catalogue["delivery"].name
    producer = Producer(settings, linger_ms=20)
    await producer.start()
    last = None
    for number in range(records):
        recipient = f"+1555{number * 7919 % 50_000:07d}"
        event = replace(
            model,
            event_id=derived_id("bench", number),
            message_id=f"m-{number}",
            provider_message_id=f"3415-{number:x}",
            to=recipient,
            status_detail=DETAILS[number % 13 % len(DETAILS)],
            timestamp=model.timestamp + number,
        )
        headers = event_headers(event, event.event_id, event.timestamp)
        last = await producer.send(topic, codec.encode(event), key=recipient_key("acme", recipient), headers=headers)
    if last is not None:
        await last
    await producer.stop()


async def fill_callbacks(settings: BusSettings, callbacks: int) -> None:
    """Write callbacks of one report each, and receipts of every other one, a tenth of them with another status."""
    raw, catalogue = sample("RawCallback"), settings.catalogue
    assert isinstance(raw, RawCallback)
    codec, producer = Codec(FolderRegistry()), Producer(settings, linger_ms=20)
    await producer.start()
    last = None
    for number in range(callbacks):
        body = raw.body.replace(b"15551230001", b"1555%07d" % (number * 7919 % 50_000))
        callback = replace(raw, event_id=derived_id("bench", number), body=body)
        last = await producer.send(catalogue["raw"].name, codec.encode(callback))
        if number % 2:
            (receipt,) = PROVIDERS[raw.provider].read(callback)
            assert isinstance(receipt, Receipt)
            then = replace(receipt, status="expired") if number % 20 == 1 else receipt
            last = await producer.send(catalogue["receipts"].name, codec.encode(then), key=str(then.to).encode())
    if last is not None:
        await last
    await producer.stop()


def measure(what: str, arguments: list[str], environment: dict[str, str], out: Path | None) -> tuple[str, ...]:
    """Return a row of the report."""
    command = [sys.executable, "-m", "trackly", *arguments]
    began = time.monotonic()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        text = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{what} failed")
    size = f"{out.stat().st_size / 1e6:.1f}" if out is not None else ""
    cpu = used.ru_utime + used.ru_stime
    print(text, end="", file=sys.stderr)
    return what, f"{cpu:.1f}", f"{time.monotonic() - began:.1f}", f"{used.ru_maxrss / 1024:.0f}", size


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--callbacks", type=int, default=200_000)
    parser.add_argument("--partitions", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trackly-history-") as name, EmbeddedKafka(Path(name) / "kafka") as kafka:
        folder = Path(name)
        settings = BusSettings(
            bootstrap_servers=kafka.bootstrap_servers, partitions=options.partitions, replication=1, data_dir=folder
        )
        with Admin(settings) as admin:
            admin.apply(settings.catalogue)
        began = time.monotonic()
        asyncio.run(fill(settings, options.records))
        print(f"{options.records:,} records written in {time.monotonic() - began:.0f} s", file=sys.stderr)
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TRACKLY_PARTITIONS": str(options.partitions),
            "TRACKLY_DATA_DIR": name,
        }
        topic = ["tap", settings.catalogue["delivery"].name, "--from", "beginning"]
        rows = [measure("count by status_detail", [*topic, "--count-by", "status_detail"], environment, None)]
        for form in ("parquet", "jsonl", "csv"):
            out = folder / f"events.{form}"
            rows.append(measure(form, [*topic, "--out", str(out)], environment, out))
        asyncio.run(fill_callbacks(settings, options.callbacks))
        rows.append(measure(f"compare {options.callbacks:,}", ["compare"], environment, None))
        for row in (COLUMNS, *rows):
            print("".join(cell.ljust(26 if column == 0 else 12) for column, cell in enumerate(row)))


if __name__ == "__main__":
    main()
