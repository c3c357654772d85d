"""`trackly contact import`: removes the contacts of a file from a list.

A million rows take a minute or so, so it can be interrupted and continued: after every few thousand rows, once Kafka
has acknowledged them, a state file next to the input records the progress. Rows after that are repeated with the same
ids and times, which changes nothing.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO

from accounts.suppression import ALL_LISTS
from bus.admin import Admin
from bus.clock import now_ms
from bus.producer import Producer
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.ids import derived_id
from schemas.records import DATED_REASONS, ContactCommand
from schemas.spreadsheets import harmless
from trackly.audit import write_down
from trackly.commands.contact.spreadsheets import check_text
from trackly.commands.contact.suppressions import BadLine, Format, Parse, Suppression, is_separator, parser_for
from trackly.errors import Failed
from trackly.progress import Progress
from trackly.writing import producing, send_order
from trackly.written import is_given_out

CHUNK = 5_000
"""Rows between two updates of the state file: at most this many are repeated after a kill."""

MAX_AHEAD = 20_000
"""Backlog of streams at which to stop sending commands. While it is behind, nobody knows who may be texted; these are
about two seconds of its work."""

PATIENCE = 30.0
"""Seconds without progress of streams after which the import gives up."""

EXAMPLES = 5
"""Maximum lines named by a survey."""

MAX_LINE = 64 << 10
"""Maximum bytes of a line; a longer one is not a row of a list."""


class Survey(NamedTuple):
    """The lines of a file: how many there are, how many have no certain number, and how many have an unassigned one."""

    lines: int
    rejected: int
    doubtful: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """An import: remove the numbers of a file from a list of an account.

    `happened_at` (ms) applies to dated reasons, unless the line has its own date.
    """

    account: str
    list_number: str
    reason: str
    issued_by: str
    happened_at: int | None = None


@dataclass(slots=True)
class State:
    """An import's progress. It belongs to one file, identified by its SHA-256, and one command.

    `offset` is in bytes of the input, `rejects` in bytes of the file of rejected lines, `issued_at` in milliseconds.
    """

    digest: str
    account: str
    list_number: str
    reason: str
    issued_at: int
    offset: int = 0
    line: int = 0
    removed: int = 0
    rejected: int = 0
    rejects: int = 0
    country: str | None = None
    happened_at: int | None = None


class Import:
    """One import. `resumed`: it continues from an earlier run's state file.

    `parser` creates a line parser from the first line; `action` is its name in the audit log.
    """

    action = "contacts.import"
    spans_lines = True
    """Whether a quoted cell of CSV may contain line ends."""

    def __init__(
        self, path: Path, order: Order, file_format: Format, *, restart: bool = False, country: str | None = None
    ) -> None:
        self.path = path
        self.state_path = path.with_name(path.name + ".import.json")
        self.rejects_path = path.with_name(path.name + ".rejected.csv")
        self._order = order
        self._format: Format = file_format
        self._country = country
        check_text(path)
        _check_lines(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found = None if restart else self._stored()
        self.resumed = found is not None
        self.state = found or State(
            digest,
            order.account,
            order.list_number,
            order.reason,
            issued_at=now_ms(),
            country=country,
            happened_at=order.happened_at,
        )
        known = self.state
        wanted = (digest, order.account, order.list_number, order.reason, country, order.happened_at)
        if wanted != (
            known.digest, known.account, known.list_number, known.reason, known.country, known.happened_at
        ):  # fmt: skip
            raise Failed(
                f"{self.state_path} belongs to an interrupted import with another file, account, list, reason, "
                "country, or date. Finish that one, or pass --restart to start over."
            )

    def survey(self, noting: Callable[[Parse], Parse] = lambda parse: parse) -> Survey:
        """Read through the file before anything is written. `noting` is called with each line."""
        lines = rejected = doubtful = 0
        examples: list[str] = []
        with self.path.open("rb") as file:
            plain = self._parse_of(file)
            parse = noting(plain)
            for line, count in self._records(file, plain):
                lines += count
                try:
                    row = parse(_text(line))
                except BadLine as error:
                    rejected += 1
                    problem = str(error)
                else:
                    if row is None or is_given_out(row.number):
                        continue
                    doubtful += 1
                    problem = "no country has assigned this number"
                if len(examples) < EXAMPLES:
                    examples.append(f"line {lines:,}: {problem}")
        return Survey(lines, rejected, doubtful, tuple(examples))

    async def run(self, settings: BusSettings, codec: Codec, progress: Progress) -> State:
        """Import what is left, then delete the state file. Raises aiokafka.errors.KafkaError, AdminError, and Failed if
        streams makes no progress."""
        async with producing(settings, linger_ms=5) as producer:
            about, account, reason = (
                f"list {self.state.list_number or ALL_LISTS}",
                self.state.account,
                self.state.reason,
            )
            told = {"file": self.path.name, "from_line": self.state.line, "reason": reason}
            await write_down(producer, settings, codec, self.action, about, account, **told)
            with self.path.open("rb") as file, self._open_rejects() as rejects, Admin(settings) as admin:
                for rows in self._chunks(file, rejects):
                    await self._send(producer, settings, codec, rows)
                    self._save(rejects)
                    progress.tell(self.state.offset, f"{self.state.removed:,} contacts")
                    await _let_streams_follow(admin, settings)
        self.state_path.unlink(missing_ok=True)
        if not self.state.rejected:
            self.rejects_path.unlink(missing_ok=True)
        return self.state

    async def _send(self, producer: Producer, settings: BusSettings, codec: Codec, rows: list[Suppression]) -> None:
        order, at = self._order, self.state.issued_at
        sent = []
        for number, reason, happened_at, _ in rows:
            reason = reason or order.reason
            happened_at = (happened_at or order.happened_at) if reason in DATED_REASONS else None
            # A dated command has the same id in every file and run.
            told = (at,) if happened_at is None else (reason, happened_at)
            command = ContactCommand(
                event_id=derived_id("import", order.account, order.list_number, number, *told),
                command="remove",
                account=order.account,
                list_number=order.list_number,
                phone_number=number,
                issued_by=order.issued_by,
                issued_at=at,
                reason=None if reason == "manual" else reason,
                happened_at=happened_at,
            )
            sent.append(await send_order(producer, settings, codec, command))
        await asyncio.gather(*sent)
        self.state.removed += len(rows)

    def _chunks(self, file: BinaryIO, rejects: TextIO) -> Iterator[list[Suppression]]:
        state, table = self.state, csv.writer(rejects)
        parse = self._parse_of(file)
        file.seek(state.offset)
        rows: list[Suppression] = []
        for line, count in self._records(file, parse):
            state.line += count
            try:
                row = parse(_text(line))
            except BadLine as error:
                state.rejected += 1
                text = line[:200].decode("utf-8", "replace").rstrip("\r\n")
                table.writerow((state.line, str(error), harmless(text)))
            else:
                if row is not None:
                    rows.append(row)
            state.offset = file.tell()
            if len(rows) == CHUNK:
                yield rows
                rows = []
        yield rows

    def _records(self, file: BinaryIO, parse: Parse) -> Iterator[tuple[bytes, int]]:
        """Yield each record that is left, and its number of lines; the file is then right behind it."""
        spans_lines = self.spans_lines and self._format == "csv"
        while line := _line(file):
            yield _whole(file, line, parse) if spans_lines and _is_open(line) else (line, 1)

    def parser(self, first_line: str) -> Parse:
        """Return a parser for the lines of a file with this first line."""
        return parser_for(self._format, first_line, self._country)

    def _parse_of(self, file: BinaryIO) -> Parse:
        """Return a parser for the file's lines, and rewind the file."""
        try:
            first = _text(_line(file))
            if is_separator(first):
                first = _text(_line(file))
        except BadLine:
            first = ""
        file.seek(0)
        return self.parser(first)

    def _open_rejects(self) -> TextIO:
        if not self.state.rejects:
            self.rejects_path.write_text("", "utf-8")
        file = self.rejects_path.open("r+", encoding="utf-8", newline="")
        file.truncate(self.state.rejects)
        file.seek(self.state.rejects)
        if not self.state.rejects:
            csv.writer(file).writerow(("line", "reason", "text"))
        return file

    def _stored(self) -> State | None:
        try:
            return State(**json.loads(self.state_path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise Failed(f"{self.state_path} cannot be read; pass --restart to start over.") from None

    def _save(self, rejects: TextIO) -> None:
        rejects.flush()
        self.state.rejects = rejects.tell()
        written = self.state_path.with_suffix(".tmp")
        written.write_text(json.dumps(asdict(self.state)) + "\n", "utf-8")
        written.replace(self.state_path)


async def _let_streams_follow(admin: Admin, settings: BusSettings) -> None:
    """Wait while streams has too many commands to process. Raises Failed if it makes no progress."""
    ahead = await asyncio.to_thread(_ahead, admin, settings)
    moved = time.monotonic()
    while ahead > MAX_AHEAD:
        if time.monotonic() - moved > PATIENCE:
            raise Failed(
                f"streams has {ahead:,} orders ahead of this one and is not processing them. Start it, or check its "
                "/readyz; then run the same command to continue."
            )
        await asyncio.sleep(0.2)
        before, ahead = ahead, await asyncio.to_thread(_ahead, admin, settings)
        if ahead < before:
            moved = time.monotonic()


def _ahead(admin: Admin, settings: BusSettings) -> int:
    name = settings.catalogue["commands"].name
    committed = admin.group_offsets(settings.group("streams"))
    log = admin.logs([name])[name]
    return sum(end - max(log.begins[p], committed.get((name, p), 0)) for p, end in log.ends.items())


def _line(file: BinaryIO) -> bytes:
    """Return the next line; if it is too long, only its beginning."""
    line = file.readline(MAX_LINE)
    rest = line
    while len(rest) == MAX_LINE and not rest.endswith(b"\n"):
        rest = file.readline(MAX_LINE)
    return line


def _is_open(line: bytes) -> bool:
    """Whether a quoted cell may go on in the next line."""
    return line.count(b'"') % 2 == 1


def _whole(file: BinaryIO, line: bytes, parse: Parse) -> tuple[bytes, int]:
    """Return a record that begins with this line, and its number of lines.

    Further lines belong to it only if the whole has a contact and none of them has one by itself: a quote that nobody
    closed must not swallow a contact.
    """
    after, record, count = file.tell(), line, 1
    while len(record) < MAX_LINE and (more := file.readline(MAX_LINE)) and not _has_contact(more, parse):
        record, count = record + more, count + 1
        if _is_open(more):
            if len(record) < MAX_LINE and _has_contact(record, parse):
                return record, count
            break
    file.seek(after)
    return line, 1


def _has_contact(line: bytes, parse: Parse) -> bool:
    try:
        return parse(_text(line)) is not None
    except BadLine:
        return False


def _text(line: bytes) -> str:
    if len(line) == MAX_LINE:
        raise BadLine(f"is longer than {MAX_LINE} bytes")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        # As spreadsheets save CSV on Windows. Numbers are the same in any charset but UTF-16.
        text = line.decode("cp1252", "replace")
    return text.rstrip("\r\n")


def _check_lines(path: Path) -> None:
    """Check that a file can be read line by line. Raises Failed."""
    with path.open("rb") as file:
        head = file.read(MAX_LINE)
    if b"\r" in head.rstrip(b"\r") and b"\n" not in head:
        raise Failed(f"{path} ends its lines as old Macs did (CR): save it as CSV UTF-8.")
