"""`python -m tests.outside.readers [NAME...]`: installs and runs the clients of docs/recipes, including those that take
minutes to build, and writes their results, and the compressions that they read, to the table of docs/recipes/README.md.
Clients that are not available on this machine keep their earlier results.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from aiokafka import AIOKafkaProducer
from kafka.admin import KafkaAdminClient

from bus.embedded.broker import EmbeddedKafka
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.samples import sample
from tests.outside.readers.clients import READERS, NotInstalled, Reader, installed, read
from tests.outside.readers.house import House, house
from tests.outside.readers.records import AT, seen
from tests.outside.readers.table import PAGE, SEEN, Sighting, sightings, with_table

CODECS = ("none", "gzip", "lz4", "snappy", "zstd")


async def _write_compressed(servers: str) -> None:
    """A topic for each codec, stored as the producer compressed it."""
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics({f"codec.{codec}": {"num_partitions": 1, "replication_factor": 1} for codec in CODECS})
    admin.close()
    value = Codec(FolderRegistry()).encode(sample("DeliveryEvent"))
    headers = event_headers(sample("DeliveryEvent"), "evt_1", AT)
    for codec in CODECS:
        kind = None if codec == "none" else codec
        producer = AIOKafkaProducer(bootstrap_servers=servers, compression_type=kind)
        await producer.start()
        await producer.send_and_wait(f"codec.{codec}", value, key=b"whole", headers=headers)
        await producer.stop()


def _readable(reader: Reader, place: Path, environment: dict[str, str]) -> list[str]:
    found = []
    for codec in CODECS:
        try:
            group = {"GROUP": secrets.token_hex(6)}
            read(reader, place, {**environment, **group}, 1, f"codec.{codec}", timeout=90)
        except AssertionError as error:
            print(f"  {codec}: {str(error)[-200:]}")
        else:
            found.append(codec)
    return found


def _look(reader: Reader, given: House) -> Sighting:
    place = installed(reader, may_be_heavy=True)
    environment = {**given.environment, "GROUP": secrets.token_hex(6)}
    topics = dict.fromkeys(record.topic for record in given.records)
    lines = read(reader, place, environment, len(given.records), *topics)
    return {
        "language": reader.language,
        "version": reader.version,
        "on": datetime.now(UTC).date().isoformat(),
        "codecs": [] if reader.by_another else _readable(reader, place, given.environment),
        "seen": seen(lines, given.records),
    }


def main() -> int:
    """Exit code 1 if an available client could not read."""
    names, failed = sys.argv[1:], False
    known = sightings()
    with (
        tempfile.TemporaryDirectory(prefix="trackly-readers-") as name,
        EmbeddedKafka(Path(name)) as kafka,
        house(kafka.bootstrap_servers) as given,
    ):
        asyncio.run(_write_compressed(kafka.bootstrap_servers))
        for reader in READERS:
            if names and reader.name not in names:
                continue
            try:
                known[reader.name] = _look(reader, given)
                print(f"{reader.name} {reader.version}: {known[reader.name]}", flush=True)
            except NotInstalled as error:
                print(f"{reader.name} was NOT run: {error}")
            except AssertionError as error:
                print(f"{reader.name} FAILED: {error}")
                failed = True
    SEEN.write_text(json.dumps(known, indent=2) + "\n", "utf-8")
    PAGE.write_text(with_table(PAGE.read_text("utf-8"), known), "utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
