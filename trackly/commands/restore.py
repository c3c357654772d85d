"""`trackly restore`: restores a backup into new topics."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path
from typing import Annotated

import orjson
import typer

from bus.settings import BusSettings
from schemas.cloudevents import iso_time
from trackly.commands.backup.command import File, PassphraseFile, passphrase_of
from trackly.commands.backup.content import Head, check_target, put_back
from trackly.commands.backup.sealed import NotOpened, read
from trackly.errors import Failed
from trackly.output import Json, Yes, confirm, json_line, say


def restore(
    file: File,
    keys_to: Annotated[
        Path | None, typer.Option(metavar="ENVFILE", help="Write the keys to this new file and do nothing else.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Read the whole file and do nothing else.")] = False,
    passphrase_file: PassphraseFile = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Restore a backup: first its keys (--keys-to), then, with these set, its records into new topics.

    Create the topics with `trackly topics apply`; streams and sinks must not run yet. The number of partitions may
    differ. The whole file is read before anything is written.
    """
    passphrase = passphrase_of(passphrase_file)
    head, counts = _looked_through(file, passphrase)
    if keys_to is not None:
        with os.fdopen(os.open(keys_to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(head.environment())
        say(f"The keys are in {keys_to}: set them for every service, then delete it.")
        return
    if not check:
        settings = BusSettings()
        check_target(settings, head)
        if not yes:
            confirm(f"Put {counts.total():,} records of {iso_time(head.made_at)} into {settings.bootstrap_servers}?")
        with file.open("rb") as source:
            found = read(source, passphrase)
            next(found)
            counts = asyncio.run(put_back(settings, head, found))
    if as_json:
        json_line({"made_at": iso_time(head.made_at), "version": head.version, "records": dict(counts)})
    else:
        say(f"{counts.total():,} records of {iso_time(head.made_at)} {'can be' if check else 'have been'} restored.")
        if not check:
            say("Removals after that time: run `trackly contact recover`, if the database has survived.")
            say("Then start the services.")


def _looked_through(file: Path, passphrase: str) -> tuple[Head, Counter[str]]:
    try:
        with file.open("rb") as source:
            found = read(source, passphrase)
            head = Head.parsed(next(found))
            return head, Counter(str(orjson.loads(line)["topic"]) for line in found)
    except NotOpened as error:
        raise Failed(f"{file} cannot be opened: {error}.") from None
