"""`trackly contact deactivations`: ends the consent of the previous owners of numbers that were given up."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from accounts.suppression import WHOLE_ACCOUNT
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.registry import registry_for
from trackly.audit import issuer
from trackly.commands.contact.deactivations.fetch import SOURCES, Wanted, fetch
from trackly.commands.contact.deactivations.files import DAY, date_in, end_of, lines_of, parser_of
from trackly.commands.contact.imports import Import, Order, Survey
from trackly.commands.contact.suppressions import Parse
from trackly.errors import Failed
from trackly.output import Json, Yes, confirm, json_line, parsed, say
from trackly.progress import Progress
from trackly.reading import account_named, read_accounts

STANDARD_INPUT = "-"


class Deactivations(Import):
    """An import of deactivated numbers, from every list of the account."""

    action = "contacts.deactivations"
    spans_lines = False

    def parser(self, first_line: str) -> Parse:
        """Return a parser for the lines of a file with this first line."""
        return parser_of(first_line, self.state.issued_at)


def deactivations(
    account: Annotated[str, typer.Option("--account", help="The account's ID.")],
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="The provider's file, zipped or not; - for standard input.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="PROVIDER", help=f"Fetch the file instead: {', '.join(SOURCES)}."),
    ] = None,
    day: Annotated[
        str | None,
        typer.Option("--date", metavar="DAY", help="The day of the file, 2026-11-20; by default the one in its name."),
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="With --from: the user (account SID, API key), as env:NAME or file:PATH.")
    ] = None,
    secret: Annotated[
        str | None, typer.Option(help="With --from: the token, secret, or key, as env:NAME or file:PATH.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(metavar="BASE", help="With --from: the provider's URL; Infobip gives you one.")
    ] = None,
    reason: Annotated[str, typer.Option(help="deactivated or reassigned, for lines that do not say.")] = "deactivated",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read the file and show what it contains; remove nothing.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start over, even if an earlier run was interrupted.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove the numbers in a provider's deactivation file from every list, as of the day on which they were given up.

    Only consent from before that day ends: contacts that answered START or were restored since stay. Running it again
    changes nothing. If it is interrupted, the same command continues where it stopped. Lines without a number are
    written to FILE.rejected.csv.
    """
    if (file is None) == (source is None):
        raise typer.BadParameter("name a file, or a provider with --from", param_hint="FILE")
    if source is not None and source not in SOURCES:
        raise typer.BadParameter(f"{source!r} is not one of {', '.join(SOURCES)}", param_hint="--from")
    if reason not in ("deactivated", "reassigned"):
        raise typer.BadParameter(f"{reason!r} is neither deactivated nor reassigned", param_hint="--reason")
    given = None if day is None else parsed(_day, day, "--date")
    settings = BusSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    account_named(asyncio.run(read_accounts(settings, codec)), account)
    try:
        with _input(file, source, given, user, secret, url) as (path, named):
            order = Order(
                account, WHOLE_ACCOUNT, reason, issuer() or "trackly", None if named is None else end_of(named)
            )
            work = Deactivations(path, order, "csv", restart=restart)
            survey, found = _look_through(work)
            _tell(survey, found, named)
            if dry_run:
                if as_json:
                    json_line({**survey._asdict(), **found, "dry_run": True})
                return
            if survey.rejected and not yes and not work.resumed:
                confirm("Continue with the others?")
            state = asyncio.run(_run(work, settings, codec))
            if as_json:
                json_line({"lines": state.line, "removed": state.removed, "rejected": state.rejected})
                return
            say(f"{state.line:,} lines: {state.removed:,} numbers will be removed, {state.rejected:,} lines rejected.")
            if state.rejected:
                say(f"Rejected lines, with the reasons: {work.rejects_path}")
    except KeyboardInterrupt:
        say("Interrupted. Run the same command to continue.")
        raise typer.Exit(1) from None


async def _run(work: Deactivations, settings: BusSettings, codec: Codec) -> Any:
    if work.resumed:
        say(f"Continuing after line {work.state.line:,}.")
    progress = Progress("bytes read", work.path.stat().st_size)
    try:
        return await work.run(settings, codec, progress)
    finally:
        progress.end()


def _look_through(work: Deactivations) -> tuple[Survey, dict[str, Any]]:
    """Return the file's content, and its numbers by reason and day. Raises Failed for a number without a date."""
    reasons: Counter[str] = Counter()
    days: Counter[str] = Counter()
    undated = 0

    def note(parse: Parse) -> Parse:
        def parse_and_note(line: str) -> Any:
            nonlocal undated
            row = parse(line)
            if row is not None:
                happened = row.happened_at or work.state.happened_at
                undated += happened is None
                reasons[row.reason or work.state.reason] += 1
                days["" if happened is None else datetime.fromtimestamp(happened / 1000, UTC).date().isoformat()] += 1
            return row

        return parse_and_note

    survey = work.survey(note)
    if undated:
        raise Failed(
            f"{undated:,} lines have no date, and the file's name has none either: pass --date, such as 2026-11-20."
        )
    return survey, {"reasons": dict(reasons), "days": dict(sorted(days.items()))}


def _tell(survey: Survey, found: dict[str, Any], named: date | None) -> None:
    numbers = sum(found["reasons"].values())
    days = list(found["days"])
    when = "" if not days else f" of {days[0]}" if len(days) == 1 else f" of {days[0]} to {days[-1]}"
    say(
        f"{survey.lines:,} lines: {numbers:,} numbers given up{when}, {survey.rejected:,} lines that name none,"
        f" {survey.lines - numbers - survey.rejected:,} that say nothing of it."
    )
    for example in survey.examples if survey.rejected else ():
        say(f"  {example}")


@contextmanager
def _input(
    file: str | None, source: str | None, day: date | None, user: str | None, secret: str | None, url: str | None
) -> Iterator[tuple[Path, date | None]]:
    """Return the file to read by lines, and its day, if known."""
    if source is not None:
        day = day or datetime.now(UTC).date() - DAY
        yield asyncio.run(fetch(Wanted(source, day, user, secret, url))), day
        return
    assert file is not None
    path = Path(file)
    if file != STANDARD_INPUT and not path.is_file():
        raise typer.BadParameter(f"file not found: {file}", param_hint="FILE")
    if file != STANDARD_INPUT and not _must_be_converted(path):
        yield path, day or date_in(path.name)
        return
    if file == STANDARD_INPUT:
        with tempfile.TemporaryDirectory(prefix="trackly-") as folder:
            spooled = Path(folder) / "input"
            with spooled.open("wb") as out:
                shutil.copyfileobj(sys.stdin.buffer, out)
            yield _converted(spooled, "standard input"), day
        return
    yield _converted(path, path.name), day or date_in(path.name)


def _must_be_converted(path: Path) -> bool:
    """Whether a file cannot be read by lines: a zip, or JSON."""
    with path.open("rb") as file:
        head = file.read(1 << 10).lstrip()
    if head.startswith((b"PK\x03\x04", b"[")):
        return True
    if not head.startswith(b"{"):
        return False
    try:
        return "results" in json.loads(head.partition(b"\n")[0])
    except (ValueError, TypeError):
        return True


def _converted(path: Path, name: str) -> Path:
    """Return a file's lines, in a file beside it. The same input gives the same lines, so that a run can continue."""
    target = path.with_name(path.name + ".lines")
    try:
        with path.open("rb") as file:
            lines_of(file, target)
    except ValueError as error:
        target.unlink(missing_ok=True)
        raise Failed(f"{name}: {error}.") from None
    return target


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a valid day, such as 2026-11-20") from None
    if day > datetime.now(UTC).date() + timedelta(days=1):
        raise ValueError(f"{text} is in the future")
    return day
