"""`trackly backup`: settings, suppressions and keys in one encrypted file."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from bus.clock import now_ms
from bus.settings import BusSettings
from trackly.commands.backup.content import Head, gathered, lines
from trackly.commands.backup.sealed import write
from trackly.errors import Failed
from trackly.output import Json, json_line, say

LEAST_PASSPHRASE = 12
VARIABLE = "TRACKLY_BACKUP_PASSPHRASE"

File = Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="The backup.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help=f"A file whose first line is the passphrase; otherwise {VARIABLE}, or the command asks.",
    ),
]


def backup(file: File, passphrase_file: PassphraseFile = None, as_json: Json = False) -> None:
    """Write accounts, lists, endpoints, API keys, removed contacts, held removals, and the keys to a new file.

    Services may keep running. The file does not contain messages, events, or waiting webhooks: protect those with
    Kafka's replication or a mirror. Without its passphrase, no one can read the file, including you.
    """
    settings = BusSettings()
    passphrase = passphrase_of(passphrase_file, is_new=True)
    if file.exists():
        raise Failed(f"{file} already exists: choose another file.")
    part = file.with_name(f"{file.name}.part")
    head, written = Head.of(settings, now_ms()), Counter[str]()
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            write(out, gathered(lines(settings, head, written)), passphrase)
            out.flush()
            os.fsync(out.fileno())
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)
    if as_json:
        json_line({"file": str(file), "records": dict(written), "keys": len(head.environment().splitlines())})
        return
    say(f"{written.total():,} records and {len(head.environment().splitlines())} key settings are in {file}.")
    if not head.secret_keys:
        say("TRACKLY_SECRET_KEYS is not set: secrets that are encrypted on Kafka cannot be read from this backup.")


def passphrase_of(file: Path | None, *, is_new: bool = False) -> str:
    """Return the passphrase. Raises Failed if there is none, or a new one is too short."""
    if file is not None:
        found = file.read_text("utf-8").partition("\n")[0].strip()
    elif not (found := os.environ.get(VARIABLE, "")) and sys.stdin.isatty():
        found = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True)
    if not found:
        raise Failed(f"There is no passphrase: set {VARIABLE}, or pass --passphrase-file.")
    if is_new and len(found) < LEAST_PASSPHRASE:
        raise Failed(f"The passphrase is too short: use {LEAST_PASSPHRASE} characters or more.")
    return found
