"""Readers in Java against our registry. Their jars come from Maven Central, once; a JDK runs the program.

Flink's Avro format for registries is there, with Confluent's own client inside, which Kafka Connect's converter uses
too. The converter itself is published by Confluent alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bus.embedded.jars import cache_dir
from registry.app import create_app
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.samples import sample
from schemas.topics import Catalogue
from tests.http_servers import served

FLINK = ("org.apache.flink:flink-sql-avro-confluent-registry:2.1.0", "org.slf4j:slf4j-api:1.7.36")
CONVERTER = "io.confluent:kafka-connect-avro-converter:7.9.0"
PROGRAM = Path(__file__).parent / "java" / "ReadRecord.java"
CATALOGUE = Catalogue()
WITH_EVENT_ID = [t for t in CATALOGUE.values() if t.public and t.id not in ("messages", "contacts", "places")]


# In a process of its own: the client leaves sockets open.
_FETCH = """
import sys
from dataclasses import replace
from pathlib import Path
from jgo.maven import MavenContext
from jgo.parse import Coordinate
context = MavenContext(repo_cache=Path(sys.argv[1]), timeout=60)
wanted = context.create_dependency(replace(Coordinate.parse(sys.argv[2]), scope="compile"))
print(wanted.artifact.resolve())
"""


def jar(coordinate: str) -> Path | None:
    """Return a jar without its dependencies; None if it is not available."""
    command = [sys.executable, "-c", _FETCH, str(cache_dir() / "repository"), coordinate]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    return Path(done.stdout.split()[-1]) if done.returncode == 0 else None


def test_flink_and_confluent_s_java_client_read_every_public_event() -> None:
    if shutil.which("javac") is None:
        pytest.skip("there is no JDK: Flink's reader and Confluent's Java client are not tried on the registry")
    jars = [jar(coordinate) for coordinate in FLINK]
    if None in jars:
        pytest.skip(f"{FLINK[0]} cannot be fetched: Flink's reader is not tried on the registry")
    path = os.pathsep.join(map(str, jars))
    codec, folder = Codec(FolderRegistry()), FolderRegistry()
    records = [[topic.subject, codec.encode(sample(str(topic.record))).hex()] for topic in WITH_EVENT_ID]
    with served(create_app(CATALOGUE)) as url:
        command = ["java", "-cp", path, str(PROGRAM), url, *(part for record in records for part in record)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("trackly.")]
    expected = []
    for topic in WITH_EVENT_ID:
        record = str(topic.record)
        version = folder.versions[record][-1]["version"]
        event_id = sample(record).event_id  # type: ignore[union-attr]
        expected.append(f"{folder.full_name(record)} {version} {version} FULL_TRANSITIVE {event_id}")
    assert lines == expected


def test_kafka_connect_s_avro_converter_reads_from_the_registry() -> None:
    if jar(CONVERTER) is None:
        pytest.skip(f"{CONVERTER} is not on Maven Central: the Connect recipes are not run, only its client is")
    pytest.fail("the converter can be fetched now: run it here")
