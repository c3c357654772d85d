"""Records for readers, and the check of their output."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bus.producer import Producer
from bus.settings import BusSettings
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.samples import example, record_of
from schemas.topics import Topic

COLUMNS = ("every topic", "null", "time", "map", "list", "no value", "headers")
AT = 1_763_633_732_120
MORE_THAN_53_BITS = 21_992_027_725_252_120
"""A version that a contact has once the group of streams has rebalanced 5,000 times: no number of JavaScript."""

_FOLDER = FolderRegistry()


@dataclass(frozen=True)
class Given:
    """A record on a topic, as a reader should print it."""

    topic: str
    key: str
    record: str
    value: Mapping[str, Any] | None


def given(topics: Iterable[Topic]) -> list[Given]:
    """Return for each topic a complete record, one without optional fields, and a deletion if it is compacted."""
    made: list[Given] = []
    for topic in topics:
        record = str(topic.record)
        whole = example(record)
        if record == "MessageSent":
            whole["unique_args"] = {"campaign": "may", "order": "ü-7"}
        if record == "ContactState":
            whole["version"] = MORE_THAN_53_BITS
        bare = {name: _least(kind, whole[name]) for name, kind in _kinds(record).items()}
        if "event_id" in bare:
            bare["event_id"] = "evt_bare"
        made += [Given(topic.name, "whole", record, whole), Given(topic.name, "bare", record, bare)]
        if topic.compacted:
            made.append(Given(topic.name, "gone", record, None))
    return made


async def write(settings: BusSettings, records: Iterable[Given]) -> None:
    """Put them on their topics as the services do."""
    codec, producer = Codec(FolderRegistry()), Producer(settings)
    await producer.start()
    for each in records:
        record = record_of(each.record, each.value or example(each.record))
        value = None if each.value is None else codec.encode(record)
        headers = event_headers(record, "evt_1", AT)
        await (await producer.send(each.topic, value, key=each.key.encode(), headers=headers))
    await producer.stop()


def seen(lines: Iterable[str], expected: Iterable[Given]) -> dict[str, str]:
    """Return how each kind of value was read, by column: `yes`, `no`, or the form in which it arrived."""
    printed = [json.loads(line) for line in lines]
    found = {(line["topic"], line["key"]): line for line in printed}
    verdicts: dict[str, set[str]] = {column: set() for column in COLUMNS}
    for each in expected:
        line = found.get((each.topic, each.key))
        if line is None:
            verdicts["every topic"].add("no")
            continue
        verdicts["headers"].add(_yes(line["type"] == f"trackly.{each.record}"))
        if each.value is None or line["value"] is None:
            verdicts["no value"].add(_yes(each.value is line["value"]))
            continue
        for column, verdict in _fields(each, line["value"]):
            verdicts[column].add(verdict)
    return {column: _one(verdicts[column]) for column in COLUMNS}


def _fields(each: Given, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    assert each.value is not None
    yield "every topic", _yes(set(value) == set(each.value))
    for name, kind in _kinds(each.record).items():
        right, got = each.value[name], value.get(name)
        if right is None:
            yield "null", _yes(got is None and name in value)
        elif _is_time(kind):
            yield "time", _time(right, got)
        elif isinstance(right, dict):
            yield "map", _yes(got == right)
        elif isinstance(right, list):
            yield "list", _yes(got == right)
        else:
            yield "every topic", _yes(got == right or (right == MORE_THAN_53_BITS and got == str(right)))


def _time(right: str, got: Any) -> str:
    at = datetime.fromisoformat(right)
    if isinstance(got, str):
        return _yes(datetime.fromisoformat(got) == at)
    return "milliseconds" if got == round(at.timestamp() * 1000) else "no"


def _kinds(record: str) -> dict[str, Any]:
    return {field["name"]: field["type"] for field in _FOLDER.schema(_FOLDER.id_of(record))["fields"]}


def _is_time(kind: Any) -> bool:
    branches = kind if isinstance(kind, list) else [kind]
    return any(isinstance(each, dict) and each.get("logicalType") == "timestamp-millis" for each in branches)


def _least(kind: Any, whole: Any) -> Any:
    if isinstance(kind, list):
        return None if "null" in kind else whole
    if isinstance(kind, dict) and kind["type"] in ("map", "array"):
        return {} if kind["type"] == "map" else []
    return whole


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _one(verdicts: set[str]) -> str:
    if "no" in verdicts or not verdicts:
        return "no"
    return " or ".join(sorted(verdicts))
