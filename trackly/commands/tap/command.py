"""`trackly tap`: prints or counts the records of a topic, or writes them to a file."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bus.settings import BusSettings
from schemas.registry import registry_for
from schemas.topics import Topic
from trackly.commands.tap.export import Csv, Export, JsonLines, Remembered, refuse_others
from trackly.commands.tap.history import FieldRows, HistoryQuery, Position, read_history
from trackly.conditions import MISSING, Condition, parse_condition, text_of, value_at
from trackly.decoding import SECRET_TOPICS, Decoder, KafkaRecord, is_time, plain, time_text
from trackly.errors import Failed
from trackly.output import Json, json_line, parsed, say, table
from trackly.reading import parse_start

FORMATS = (".jsonl", ".csv", ".parquet")

MOST_VALUES = 1_000_000
"""Maximum distinct values to count, to bound memory; more are probably a mistake."""


def tap(
    topic: Annotated[str, typer.Argument(help="Name of the topic, with or without the prefix.")],
    begin: Annotated[
        str, typer.Option("--from", metavar="PLACE", help="beginning, end, an offset, a time, or 2h for two hours ago.")
    ] = "end",
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="PLACE", help="Where to stop; by default at what is there now, or never."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="Only matching records: status=undeliverable, or != ~ < <= > >=; all conditions must match.",
        ),
    ] = None,
    count_by: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Count records by the values of a field; repeatable.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to a file: .jsonl, .csv, or .parquet.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Continue where the last run stopped; this file keeps the position."),
    ] = None,
    follow: Annotated[
        bool | None,
        typer.Option("--follow/--no-follow", help="Wait for more records at the end. The default when printing."),
    ] = None,
    most: Annotated[int | None, typer.Option("--max", min=1, help="Stop after this many records.")] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Stop after this many seconds without a matching record.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Do not decode: text, or base64.")] = False,
    as_json: Json = False,
) -> None:
    """Print the records of a topic as JSON lines, as they come, until Ctrl-C; or count them, or write them to a file.

    A line has topic, partition, offset, timestamp, key, headers, and value. A null value deletes the key; with an
    "error", it could not be decoded. Records are in order within each partition. Times are those of writing; an event's
    own time is one of its fields.
    """
    bounds = parsed(parse_start, begin, "--from"), None if end is None else parsed(parse_start, end, "--to")
    conditions = [parsed(parse_condition, text, "--where") for text in where or ()]
    if raw and (conditions or count_by or out):
        raise typer.BadParameter("cannot be used with --raw, which decodes no fields", param_hint="--where")
    if out is not None and out.suffix not in FORMATS:
        raise typer.BadParameter(f"{out} does not end with one of {', '.join(FORMATS)}", param_hint="--out")
    if out is not None and (count_by or most):
        raise typer.BadParameter("cannot be used with --count-by or --max", param_hint="--out")
    if most is not None and state is not None:
        raise typer.BadParameter("cannot be used with --state, which works in whole batches", param_hint="--max")
    settings = BusSettings()
    found = settings.catalogue.named(topic)
    if raw and found is not None and found.id in SECRET_TOPICS:
        raise typer.BadParameter(
            f"{found.name} holds secrets, which are only shown decoded, with stars", param_hint="--raw"
        )
    prints = not count_by and out is None
    question = HistoryQuery(
        topic, *bounds, conditions, follow=(prints and end is None) if follow is None else follow, timeout=timeout
    )
    position = Position(state, question) if state is not None else None
    if out is not None:
        _export(settings, question, position, out)
    elif count_by:
        _count(settings, question, position, Count(_rows(settings, topic, conditions, count_by), count_by), as_json)
    else:
        if found is not None and found.public and conditions:
            _rows(settings, topic, conditions, None)  # fails for a field that no record has
        _ended(settings, question, Lines(Decoder(settings), conditions, most, raw), position, quiet=True)


class Lines:
    """A sink that prints JSON lines."""

    def __init__(self, decoder: Decoder, conditions: Sequence[Condition], most: int | None, raw: bool) -> None:
        self._decoder = decoder
        self._conditions = conditions
        self._left = most
        self._raw = raw

    def take(self, records: Sequence[KafkaRecord]) -> int | None:
        """Print matching records; None once enough were printed."""
        shown = 0
        for record in records:
            line = self._decoder.line(record, self._raw)
            if all(condition.fits(line["value"]) for condition in self._conditions):
                json_line(line)
                shown += 1
                if shown == self._left:
                    return None
        if self._left is not None:
            self._left -= shown
        return shown

    def checkpoint(self, last: bool) -> Remembered | None:
        """Nothing to do: printed lines are final."""
        return {}


class Count:
    """A sink that counts records by the values of some fields."""

    def __init__(self, rows: FieldRows, paths: Sequence[str]) -> None:
        self.rows = rows
        self.counts: Counter[tuple[Any, ...]] = Counter()
        self._paths = paths
        self._simple = not any("." in path for path in paths)

    def take(self, records: Sequence[KafkaRecord]) -> int | None:
        """Count matching records. Raises Failed for more distinct values than memory allows."""
        read, counts, paths = self.rows.read, self.counts, self._paths
        wanted = 0
        for record in records:
            values = read(record)
            if values is None:
                continue
            wanted += 1
            if self._simple:
                key = tuple([values[path] for path in paths])
            else:
                key = tuple([value_at(values, path) for path in paths])
            try:
                counts[key] += 1
            except TypeError:  # a list or a map
                counts[tuple(text_of(plain(value)) for value in key)] += 1
        if len(counts) > MOST_VALUES:
            raise Failed(f"There are more than {MOST_VALUES:,} different values: count by another field.")
        return wanted

    def checkpoint(self, last: bool) -> Remembered | None:
        """Nothing to do: each run counts what is new since the last one."""
        return {} if last else None

    def lines(self) -> list[dict[str, Any]]:
        """Return an object for each combination of values, most frequent first, otherwise by value."""
        timed = {field["name"] for field in self.rows.fields if is_time(field["type"])}
        found = [
            {**{path: _shown(value, path in timed) for path, value in zip(self._paths, key, strict=True)}, "count": n}
            for key, n in self.counts.items()
        ]
        return sorted(found, key=lambda line: (-line["count"], *(str(line[path]) for path in self._paths)))


def _count(
    settings: BusSettings, question: HistoryQuery, position: Position | None, count: Count, as_json: bool
) -> None:
    _ended(settings, question, count, position)
    lines = count.lines()
    if as_json:
        for line in lines:
            json_line(line)
    elif lines:
        table(tuple(lines[0]), ([text_of(value) for value in line.values()] for line in lines))
    else:
        say("There is nothing to count.")
    _tell_unreadable(count.rows)


def _export(settings: BusSettings, question: HistoryQuery, position: Position | None, out: Path) -> None:
    if position is not None and not position.remembered:
        refuse_others(out)
        # From here on, the file belongs to this export, however early a run ends.
        position.save(position.next, {"bytes": 0, "files": 0})
    resumed = None if position is None else position.remembered
    rows = None
    if out.suffix == ".jsonl":
        export: Export = JsonLines(out, resumed, Decoder(settings), question.conditions)
    else:
        rows = _rows(settings, question.topic, question.conditions, None)
        if out.suffix == ".csv":
            export = Csv(out, resumed, rows)
        else:
            from trackly.commands.tap.parquet import Parquet

            export = Parquet(out, resumed, rows)
    if not _ended(settings, question, export, position) and position is None:
        raise Failed(f"Interrupted: {export.written:,} records were read, and there is no {out}.")
    files = export.close()
    say(f"{export.written:,} records written to {', '.join(map(str, files)) or 'no file'}.")
    _tell_unreadable(rows)


def _ended(
    settings: BusSettings, question: HistoryQuery, sink: Any, position: Position | None, quiet: bool = False
) -> bool:
    """Read; returns whether it reached the end by itself."""
    try:
        asyncio.run(read_history(settings, question, sink, position, quiet))
    except KeyboardInterrupt:
        return False
    return True


def _rows(settings: BusSettings, name: str, conditions: Sequence[Condition], paths: Sequence[str] | None) -> FieldRows:
    topic: Topic | None = settings.catalogue.named(name)
    if topic is None or topic.record is None:
        raise Failed(f"{name} is not a topic with trackly records: `trackly tap {name} --out FILE.jsonl` writes it.")
    names = None if paths is None else {path.partition(".")[0] for path in paths}
    return FieldRows(registry_for(settings.schema_registry_url), topic.record, conditions, names)


def _shown(value: Any, timed: bool) -> Any:
    if value is MISSING:
        return None
    return time_text(value) if timed and value is not None else plain(value)


def _tell_unreadable(rows: FieldRows | None) -> None:
    if rows is not None and rows.unreadable:
        say(f"{rows.unreadable:,} records could not be decoded; `trackly tap` shows them.")
