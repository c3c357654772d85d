"""The logs of services: levels by package, JSON with each line's subject, and no endless repetition."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bus import logs
from bus.logs import MOST_ALIKE, REPEATED_AFTER, LogSettingWrong, about, configure_logging

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """Yield what is logged in a test, and restore the loggers afterward."""
    root = logging.getLogger()
    names = [*logs._packages(), *logs._CHATTY, "sinks.webhooks", "kafka.net.selector"]
    before = root.handlers[:], root.level, {name: logging.getLogger(name).level for name in names}
    yield capsys
    root.handlers[:], root.level = before[:2]
    for name, level in before[2].items():
        logging.getLogger(name).setLevel(level)


def lines(written: pytest.CaptureFixture[str]) -> list[str]:
    return written.readouterr().err.splitlines()


def test_a_line_of_json_says_what_it_is_about(
    written: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKLY_LOG_FORMAT", "json")
    configure_logging(service="streams")
    fields = about(traceparent=TRACE, account="acme", topic="sms.raw", partition=3, offset=None)
    logging.getLogger("streams.normalize").error("a callback of %s cannot be read", "infobip", extra=fields)
    (line,) = map(json.loads, lines(written))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "ERROR",
        "logger": "streams.normalize",
        "message": "a callback of infobip cannot be read",
        "service": "streams",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "account": "acme",
        "topic": "sms.raw",
        "partition": 3,
    }


def test_a_traceback_stays_on_the_line_of_its_error(
    written: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKLY_LOG_FORMAT", "JSON")
    configure_logging()
    try:
        raise RuntimeError("a bug")
    except RuntimeError:
        logging.getLogger("streams").exception("failed")
    (line,) = map(json.loads, lines(written))
    assert line["error"].endswith("RuntimeError: a bug")


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ("", ["sinks.webhooks INFO", "streams INFO", "aiokafka WARNING"]),
        ("ERROR", ["aiokafka WARNING"]),
        ("error,sinks=debug", ["sinks.webhooks DEBUG", "sinks.webhooks INFO", "aiokafka WARNING"]),
        ("INFO, aiokafka=ERROR", ["sinks.webhooks INFO", "streams INFO"]),
        ("WARNING,streams=INFO,aiokafka=CRITICAL", ["streams INFO"]),
    ],
)
def test_levels_are_for_trackly_and_for_single_packages(
    written: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, wanted: str, shown: list[str]
) -> None:
    monkeypatch.setenv("TRACKLY_LOG_LEVEL", wanted)
    configure_logging()
    for name, level in (
        ("sinks.webhooks", "DEBUG"),
        ("sinks.webhooks", "INFO"),
        ("streams", "INFO"),
        ("aiokafka", "INFO"),
        ("aiokafka", "WARNING"),
    ):
        logging.getLogger(name).log(getattr(logging, level), "%s %s", name, level)
    assert [line.rpartition(": ")[2] for line in lines(written)] == shown


@pytest.mark.parametrize(
    ("wanted", "level"), [("", logging.ERROR), ("INFO,kafka.net.selector=WARNING", logging.WARNING)]
)
@pytest.mark.usefixtures("written")
def test_a_kafka_client_on_a_busy_machine_does_not_warn(
    monkeypatch: pytest.MonkeyPatch, wanted: str, level: int
) -> None:
    monkeypatch.setenv("TRACKLY_LOG_LEVEL", wanted)
    configure_logging()
    assert logging.getLogger("kafka.net.selector").level == level


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRACKLY_LOG_LEVEL", "LOUD"),
        ("TRACKLY_LOG_LEVEL", "INFO,sinks=LOUD"),
        ("TRACKLY_LOG_LEVEL", "=INFO"),
        ("TRACKLY_LOG_FORMAT", "xml"),
    ],
)
def test_a_setting_that_cannot_be_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(LogSettingWrong, match=f"{name}=.*Expected"):
        configure_logging()


class Said:
    """The lines that pass the filter, on a clock that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(logs, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.repeats = logs.Repeats()

    def __call__(self, name: str, text: str, *arguments: Any, level: int = logging.ERROR) -> int | None:
        """Return how many similar lines were left out before it, or None if it is left out."""
        record = logging.LogRecord(name, level, "", 0, text, arguments, None)
        return int(getattr(record, "repeated", 0)) if self.repeats.filter(record) else None


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    return Said(monkeypatch)


def test_a_client_that_says_the_same_of_every_try_is_heard_once_and_then_with_the_count(said: Said) -> None:
    text = "Unable connect to node with id %s: %s"
    assert said("aiokafka", text, 0, "refused") == 0
    assert [said("aiokafka", text, number % 3, "refused") for number in range(400)] == [None] * 400
    assert said("aiokafka", "another thing") == 0
    said.now += REPEATED_AFTER
    assert said("aiokafka", text, 1, "refused") == 400
    said.now += REPEATED_AFTER
    assert said("aiokafka", text, 1, "refused") == 0


def test_what_is_about_different_things_is_all_said_within_reason(said: Said) -> None:
    found = [said("sinks", "endpoint %s is paused", f"acme/{number}") for number in range(MOST_ALIKE + 10)]
    assert found == [0] * MOST_ALIKE + [None] * 10
    said.now += REPEATED_AFTER
    assert said("sinks", "endpoint %s is paused", "acme/new") == 10


def test_a_module_may_say_that_it_repeats_itself(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_REPETITIVE", ["aiokafka"])
    assert [said("a.module", "%s is not stored", number) for number in range(2)] == [0, 0]
    assert logs.repetitive_logger("a.module").name == "a.module"
    said.now += REPEATED_AFTER
    assert [said("a.module", "%s is not stored", number) for number in range(2)] == [0, None]


def test_a_traceback_is_never_left_out(said: Said) -> None:
    error = (ValueError, ValueError("a bug"), None)
    records = [logging.LogRecord("aiokafka", logging.ERROR, "", 0, "failed", (), error) for _ in range(3)]
    assert all(said.repeats.filter(record) for record in records)


def test_what_is_no_warning_is_never_left_out(said: Said) -> None:
    assert [said("streams", "purged %d", 0, level=logging.INFO) for _ in range(9)] == [0] * 9


def test_what_is_remembered_is_bounded(said: Said) -> None:
    for number in range(3 * logs.MOST_REMEMBERED):
        said.now += 0.01
        said("sinks", f"a text that is made anew {number}")
    assert len(said.repeats._said) <= logs.MOST_REMEMBERED + 1


def test_a_service_names_a_setting_of_logs_that_is_wrong_instead_of_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trackly", "registry", "--port", "1"],
        env={"TRACKLY_LOG_FORMAT": "xml"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "TRACKLY_LOG_FORMAT=xml" in done.stderr
