"""Writes records to a file: JSON lines or CSV here, Parquet in `parquet.py`, by file name extension."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import IO, Any

import orjson

from schemas.spreadsheets import harmless
from trackly.commands.tap.history import FieldRows
from trackly.conditions import Condition
from trackly.decoding import Decoder, KafkaRecord, is_time, plain, text_or_base64, time_text
from trackly.errors import Failed

PLACE = ("kafka_partition", "kafka_offset", "kafka_timestamp", "kafka_key", "kafka_deleted")
"""Columns before those of the record. `kafka_deleted`: the record has no value, which deletes its key."""

Remembered = Mapping[str, Any]
"""What an earlier run's position recorded about its file; empty on the first run."""


class Export:
    """A sink that writes a file. Until it is complete, its name ends with `.part`, unless the export can be resumed."""

    def __init__(self, path: Path, resumed: Remembered | None) -> None:
        """Raises Failed if the file exists and this is not its continuation."""
        if not resumed:
            refuse_others(path)
        self.path = path
        self.written = 0

    def take(self, records: Sequence[KafkaRecord]) -> int | None:
        """Write matching records; returns their number."""
        raise NotImplementedError

    def checkpoint(self, last: bool) -> Remembered | None:
        """Make written data durable; returns what a later run needs to know. None: not yet."""
        raise NotImplementedError

    def close(self) -> list[Path]:
        """Complete the export; returns the files it wrote."""
        raise NotImplementedError


def refuse_others(path: Path) -> None:
    """Raise Failed if there is a file that is not this export's."""
    if path.exists():
        raise Failed(f"{path} already exists: choose another file, or remove it.")


class _Lines(Export):
    """A file of lines. When resumed, it is truncated to the known position, and continued."""

    def __init__(self, path: Path, resumed: Remembered | None) -> None:
        super().__init__(path, resumed)
        self._place = part_of(path) if resumed is None else path
        known = int((resumed or {}).get("bytes", 0))
        there = path.stat().st_size if resumed and path.exists() else None
        if there is not None and there < known:
            raise Failed(f"{path} is shorter than its position says: restore the whole file, or move this one away.")
        self._file: IO[bytes] = self._place.open("w+b" if there is None else "r+b")
        # A file that was moved away is complete; a new one follows it.
        self._file.seek(0 if there is None else known)
        self._file.truncate()

    def checkpoint(self, last: bool) -> Remembered | None:
        self._file.flush()
        os.fsync(self._file.fileno())
        return {"bytes": self._file.tell()}

    def close(self) -> list[Path]:
        self._file.close()
        self._place.replace(self.path)
        return [self.path]

    def _write(self, lines: bytes, count: int) -> int:
        self._file.write(lines)
        self.written += count
        return count


class JsonLines(_Lines):
    """The same lines that `trackly tap` prints."""

    def __init__(
        self, path: Path, resumed: Remembered | None, decoder: Decoder, conditions: Sequence[Condition]
    ) -> None:
        super().__init__(path, resumed)
        self._decoder = decoder
        self._conditions = conditions

    def take(self, records: Sequence[KafkaRecord]) -> int | None:
        lines = [
            orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
            for line in map(self._decoder.line, records)
            if all(condition.fits(line["value"]) for condition in self._conditions)
        ]
        return self._write(b"".join(lines), len(lines))


class Csv(_Lines):
    """One column per field; times in ISO 8601, lists and maps as JSON, nothing for null, and no formulas."""

    def __init__(self, path: Path, resumed: Remembered | None, rows: FieldRows) -> None:
        super().__init__(path, resumed)
        self._rows = rows
        self._cells = [(field["name"], _cell(field["type"])) for field in rows.fields]
        if not self._file.tell():
            self._write(_csv([[*PLACE, *(name for name, _ in self._cells)]]), 0)

    def take(self, records: Sequence[KafkaRecord]) -> int | None:
        lines = [
            [*place_of(record, time_text), *(cell(values[name]) for name, cell in self._cells)]
            for record in records
            if (values := self._rows.read(record)) is not None
        ]
        return self._write(_csv(lines), len(lines))


def place_of(record: KafkaRecord, time: Callable[[int], Any]) -> tuple[Any, ...]:
    """Return the values of the columns `PLACE`. A key is text, or base64 if it is not text."""
    key = None if record.key is None else text_or_base64(record.key)
    shown = key["base64"] if isinstance(key, dict) else key
    return record.partition, record.offset, time(record.timestamp), shown, record.value is None


def part_of(path: Path) -> Path:
    """Return where a file is written until it is complete."""
    return path.with_name(f"{path.name}.part")


def _csv(lines: list[list[Any]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([_spelled(value) for value in line] for line in lines)
    return text.getvalue().encode()


def _cell(kind: Any) -> Callable[[Any], Any]:
    if is_time(kind):
        return lambda value: None if value is None else time_text(value)
    return _text if kind != "string" and kind != ["null", "string"] else lambda value: value


def _text(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, bool | dict | list):
        return orjson.dumps(value).decode()
    return value


def _spelled(value: Any) -> Any:
    # The place's flag as the record's own flags, which are JSON.
    return str(value).lower() if isinstance(value, bool) else harmless(value)
