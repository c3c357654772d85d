"""Writes records to Parquet files: columns of Avro's types, times as UTC timestamps. Needs `trackly[parquet]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trackly.commands.tap.export import PLACE, Export, Remembered, part_of, place_of
from trackly.commands.tap.history import FieldRows
from trackly.decoding import KafkaRecord, is_time
from trackly.errors import Failed

try:
    import pyarrow as arrow
    import pyarrow.parquet as files
except ImportError:
    raise Failed("Parquet needs pyarrow: pip install 'trackly[parquet]'.") from None

ROWS_A_GROUP = 50_000
"""Rows that are compressed together: large enough to be compact, small enough for memory."""

ROWS_A_FILE = 1_000_000
"""Rows after which an export with a position begins a new file: a Parquet file cannot be appended to."""

_PLACE_TYPES = (arrow.int32(), arrow.int64(), arrow.timestamp("ms", "UTC"), arrow.string(), arrow.bool_())
_TYPES = {
    "string": arrow.string(), "bytes": arrow.binary(), "int": arrow.int32(), "long": arrow.int64(),
    "float": arrow.float32(), "double": arrow.float64(), "boolean": arrow.bool_(),
}  # fmt: skip


class Parquet(Export):
    """One file, or with a position several: `events.parquet`, `events-2.parquet` and so on."""

    def __init__(self, path: Path, resumed: Remembered | None, rows: FieldRows) -> None:
        super().__init__(path, resumed)
        self._rows = rows
        self._names = [field["name"] for field in rows.fields]
        self._schema = arrow.schema(
            [
                *zip(PLACE, _PLACE_TYPES, strict=True),
                *((field["name"], _type(field["type"])) for field in rows.fields),
            ]
        )
        self._columns: list[list[Any]] = [[] for _ in self._schema]
        self._many = resumed is not None
        self._number = int((resumed or {}).get("files", 0))
        self._writer: Any = None
        self._rows_in_file = 0
        self._files: list[Path] = []

    def take(self, records: Sequence[KafkaRecord]) -> int | None:
        rows = [
            (*place_of(record, int), *(values[name] for name in self._names))
            for record in records
            if (values := self._rows.read(record)) is not None
        ]
        for column, cells in zip(self._columns, zip(*rows, strict=True), strict=False):
            column.extend(cells)
        self.written += len(rows)
        if len(self._columns[0]) >= ROWS_A_GROUP:
            self._write()
        return len(rows)

    def checkpoint(self, last: bool) -> Remembered | None:
        """Save the position when a file is complete; incomplete files do not exist."""
        if not last and self._rows_in_file < ROWS_A_FILE:
            return None
        if self._many:
            self._finish()
        return {"files": self._number}

    def close(self) -> list[Path]:
        if not self._many or (not self._files and not self._number):
            self._finish(even_empty=True)
        return self._files

    @property
    def _path(self) -> Path:
        name = self.path.stem if self._number == 0 else f"{self.path.stem}-{self._number + 1}"
        return self.path.with_name(name + self.path.suffix)

    def _write(self) -> None:
        if self._writer is None:
            self._writer = files.ParquetWriter(part_of(self._path), self._schema, compression="zstd")
        arrays = [arrow.array(c, field.type) for c, field in zip(self._columns, self._schema, strict=True)]
        self._writer.write_batch(arrow.record_batch(arrays, schema=self._schema))
        self._rows_in_file += len(self._columns[0])
        for column in self._columns:
            column.clear()

    def _finish(self, even_empty: bool = False) -> None:
        if self._columns[0] or even_empty:
            self._write()
        if self._writer is not None:
            self._writer.close()
            part_of(self._path).replace(self._path)
            self._files.append(self._path)
            self._writer, self._rows_in_file, self._number = None, 0, self._number + 1


def _type(kind: Any) -> Any:
    """Return the Arrow type for an Avro type."""
    if isinstance(kind, list):
        return _type(next(branch for branch in kind if branch != "null"))
    if is_time(kind):
        return arrow.timestamp("ms", "UTC")
    if not isinstance(kind, Mapping):
        return _TYPES[kind]
    match kind["type"]:
        case "array":
            return arrow.list_(_type(kind["items"]))
        case "map":
            return arrow.map_(arrow.string(), _type(kind["values"]))
        case "record":
            return arrow.struct([(field["name"], _type(field["type"])) for field in kind["fields"]])
        case "enum":
            return arrow.string()
        case inner:
            return _type(inner)
