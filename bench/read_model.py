"""`python -m bench.read_model DATABASE_URL`: how fast the read model reads from Kafka.

Writes messages to its own broker: for each, a registration, a receipt, a delivery event, and an attempt to deliver its
webhook. Then rebuilds an empty database with `trackly read-model rebuild` and prints one JSON line: records and
delivery events per second, including startup and migrations.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bus.admin import Admin
from bus.clock import now_ms
from bus.embedded.broker import EmbeddedKafka
from bus.producer import Producer
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.ids import recipient_key
from schemas.records import DeliveryEvent, MessageSent, Receipt, Record, WebhookAttempt
from schemas.registry import registry_for

LIST = "+18005551234"


def main() -> None:
    """Write, rebuild, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--messages", type=int, default=50_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trackly-bench-") as home, EmbeddedKafka(Path(home) / "kafka") as kafka:
        os.environ |= {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TRACKLY_DATA_DIR": home,
            "TRACKLY_PARTITIONS": "4",
            "DATABASE_URL": options.url,
        }
        settings = BusSettings()
        with Admin(settings) as admin:
            admin.apply(settings.catalogue)
        asyncio.run(_write(settings, options.messages))
        began = time.monotonic()
        command = [sys.executable, "-m", "trackly", "read-model", "rebuild", "--yes", "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        seconds = time.monotonic() - began
    records = sum(json.loads(done.stdout)["read"].values())
    print(
        json.dumps(
            {
                "records": records,
                "seconds": round(seconds, 1),
                "records_a_second": round(records / seconds),
                "delivery_events_a_second": round(options.messages / seconds),
            }
        )
    )


async def _write(settings: BusSettings, messages: int) -> None:
    codec, producer = Codec(registry_for(settings.schema_registry_url)), Producer(settings, linger_ms=20)
    await producer.start()
    sent = []
    for number in range(messages):
        for topic, key, record in _records(number):
            sent.append(await producer.send(settings.catalogue[topic].name, codec.encode(record), key=key))
        if len(sent) > 20_000:
            await asyncio.gather(*sent)
            sent.clear()
    await asyncio.gather(*sent)
    await producer.stop()


def _records(number: int) -> list[tuple[str, bytes, Record]]:
    to, now = f"+1555{number % 1_000_000:07}", now_ms()
    key, status = recipient_key("acme", to), "undeliverable" if number % 20 == 0 else "delivered"
    known = {"account": "acme", "provider": "infobip", "provider_message_id": f"p-{number}", "to": to}
    told = {"status": status, "status_detail": "DELIVERED_TO_HANDSET", "status_class": "delivered", "final": True}
    sent = MessageSent(message_id=f"m-{number}", list_number=LIST, sent_at=now, **known)
    receipt = Receipt(
        event_id=f"evt_r{number}", provider_status="DELIVERED", received_at=now, raw="{}", **known, **told
    )
    event = DeliveryEvent(
        event_id=f"evt_{number}", message_id=f"m-{number}", list_number=LIST, provider_code="3:5", timestamp=now,
        **known, **told,
    )  # fmt: skip
    attempt = WebhookAttempt(
        endpoint="acme/crm", event_id=f"evt_{number}", event="delivery", attempt=1, url="https://crm.example.com",
        status=200, latency_ms=40, response_head="ok", request_size=220, at=now, final=True,
    )  # fmt: skip
    attempts_key = b"acme/crm"
    return [
        ("messages", key, sent),
        ("receipts", key, receipt),
        ("delivery", key, event),
        ("webhooks_attempts", attempts_key, attempt),
    ]


if __name__ == "__main__":
    main()
