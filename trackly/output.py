"""Output of commands: results on standard output, everything else on standard error."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, TypeVar

import orjson
import typer

from trackly.errors import Failed

T = TypeVar("T")

PROSE_WIDTH = 24
"""Minimum width of a column of sentences, in characters."""

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


def say(text: str) -> None:
    """Print a line for the person at the terminal."""
    print(_printable(text, keep="\n"), file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Print a line of the result."""
    print(_printable(text, keep="\n"), flush=True)


def json_line(value: Any) -> None:
    """Print a JSON object on its own line, flushed, so that a reader at the other end sees it at once."""
    sys.stdout.flush()
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def confirm(question: str) -> None:
    """Ask the person at the terminal. Raises Failed if the answer is no, typer.Exit(2) if there is no terminal."""
    if not sys.stdin.isatty():
        say(f"{question} There is nobody to ask: pass --yes.")
        raise typer.Exit(2)
    if not typer.confirm(question, err=True):
        raise Failed("Nothing was changed.")


def parsed(parse: Callable[[str], T], text: str, option: str) -> T:
    """Parse the text of an option. Raises typer.BadParameter if `parse` raises ValueError."""
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def is_unread() -> bool:
    """Whether standard output is a pipe or terminal whose other end is closed."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: as wide as the terminal, or else in plain columns for `grep` and `awk`."""
    cells = [[_printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _rich_table(columns, cells)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in (columns, *cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    sys.stdout.flush()


def _rich_table(columns: Sequence[str], cells: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    needed = 0
    for name, *column in zip(columns, *cells, strict=True):
        is_prose = any(" " in cell for cell in column)
        grid.add_column(name, overflow="fold", no_wrap=not is_prose)
        needed += 3 + (PROSE_WIDTH if is_prose else max(map(len, [name, *column])))
    for row in cells:
        grid.add_row(*map(Text, row))
    console = Console()
    # Truncated or broken names and times cannot be copied, so let the terminal wrap lines instead.
    console.width = max(console.width, needed)
    console.print(grid)


def _printable(text: str, keep: str = "") -> str:
    # Texts from providers and callers must not control the terminal.
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else "\ufffd" for c in text)
