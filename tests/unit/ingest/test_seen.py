"""Providers' activity: counted, written periodically, and never lost because Kafka is down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.memory import CATALOGUE, CODEC, MemoryKafka
from ingest.app import Ingest, create_app
from ingest.seen import SeenCallbacks, SeenWriter
from ingest.settings import IngestSettings
from schemas.records import AccountConfig, CallbacksSeen
from tests.clock import MovedClock

TOPIC = CATALOGUE["callbacks_seen"]


def records(seen: SeenCallbacks) -> list[CallbacksSeen]:
    return [record for _, record in seen.changes()]


def test_counts_and_times_are_those_of_each_account_and_provider() -> None:
    clock = MovedClock(1_000)
    seen = SeenCallbacks(clock)
    seen.taken("acme", "infobip")
    clock.now = 2_000
    seen.refused("acme", "infobip", "wrong_secret")
    seen.refused("acme", "infobip", "rate_limited")
    seen.taken("other", "infobip")
    clock.now = 3_000
    assert records(seen) == [
        CallbacksSeen(
            account="acme",
            provider="infobip",
            instance=seen.instance,
            taken=1,
            refused={"wrong_secret": 1, "rate_limited": 1},
            last_taken_at=1_000,
            last_refused_at=2_000,
            last_refusal="rate_limited",
            updated_at=3_000,
        ),
        CallbacksSeen(
            account="other",
            provider="infobip",
            instance=seen.instance,
            taken=1,
            refused={},
            last_taken_at=2_000,
            updated_at=3_000,
        ),
    ]


def test_only_what_has_changed_is_written_again_and_counts_go_on() -> None:
    seen = SeenCallbacks()
    seen.taken("acme", "infobip")
    seen.taken("acme", "twilio")
    assert len(records(seen)) == 2
    assert records(seen) == []
    seen.taken("acme", "twilio")
    assert [(record.provider, record.taken) for record in records(seen)] == [("twilio", 2)]


def test_each_process_has_a_name_of_its_own() -> None:
    assert SeenCallbacks().instance != SeenCallbacks().instance


async def test_what_kafka_does_not_take_is_written_the_next_time() -> None:
    seen, kafka = SeenCallbacks(), MemoryKafka()
    producer: Any = kafka
    writer = SeenWriter(seen, producer, CODEC, TOPIC)
    seen.taken("acme", "infobip")
    kafka.refusing = {TOPIC.name}
    await writer.write()
    seen.taken("acme", "infobip")
    kafka.refusing = set()
    await writer.write()
    (stored,) = kafka.sent
    record = CODEC.decode_as(CallbacksSeen, stored.value)
    assert (record.taken, stored.key) == (2, f"acme/infobip/{seen.instance}".encode())


async def test_what_was_counted_last_is_written_when_the_process_ends() -> None:
    seen, kafka = SeenCallbacks(), MemoryKafka()
    producer: Any = kafka
    writer = SeenWriter(seen, producer, CODEC, TOPIC)
    writer.start()
    seen.taken("acme", "infobip")
    await writer.stop()
    assert len(kafka.sent) == 1


# What is counted


@pytest.fixture
def ingest(tmp_path: Path) -> Ingest:
    ingest = Ingest(IngestSettings(data_dir=tmp_path, lime_webhook_secret="the-right-one", max_body_bytes=2_000))  # type: ignore[arg-type]
    ingest.accounts.view.put(
        AccountConfig(id="acme", name="Acme", providers={"infobip": {"secret": "s3cret"}}, postbacks={"token": "t"})
    )
    ingest.accounts.view.put(AccountConfig(id="fenced", name="Fenced", trusted_cidrs=("203.0.113.0/24",)))
    return ingest


FEEDBACK = "/api/webhook-feedbacks"


@pytest.mark.parametrize(
    ("path", "body", "counted"),
    [
        (f"{FEEDBACK}/infobip?account=acme", b"", ("acme", "infobip", "missing_secret")),
        (f"{FEEDBACK}/infobip?account=acme&secret=x", b"", ("acme", "infobip", "wrong_secret")),
        (f"{FEEDBACK}/infobip/x?account=acme", b"", ("acme", "infobip", "wrong_secret")),
        (f"{FEEDBACK}/twilio?account=acme", b"", ("acme", "twilio", "no_credentials")),
        (f"{FEEDBACK}/lime/wrong?account=acme", b"", ("acme", "lime", "wrong_path_secret")),
        (f"{FEEDBACK}/infobip?account=fenced", b"", ("fenced", "infobip", "address_not_trusted")),
        (f"{FEEDBACK}/infobip?account=acme&secret=s3cret", b"x" * 2_001, ("acme", "infobip", "body_too_large")),
        (f"{FEEDBACK}/infobip?account=nobody", b"", ("", "infobip", "unknown_account")),
        (f"{FEEDBACK}/infobip", b"", ("", "infobip", "unknown_account")),
        (f"{FEEDBACK}/nobody?account=acme", b"", None),
        ("/api/postbacks/tune/acme?click_id=c-1&token=x", b"", ("acme", "tune", "wrong_token")),
        ("/api/postbacks/tune?click_id=c-1&token=x", b"", ("", "tune", "wrong_token")),
        ("/nowhere?account=acme", b"", None),
    ],
)
async def test_a_refused_callback_counts_for_the_account_it_names_and_its_cause(
    ingest: Ingest, path: str, body: bytes, counted: tuple[str, str, str] | None
) -> None:
    app = create_app(ingest.settings, ingest)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ingest") as client:
        assert (await client.post(path, content=body)).status_code >= 400
    found = [(r.account, r.provider, r.last_refusal) for r in records(ingest.seen)]
    assert found == ([] if counted is None else [counted])
