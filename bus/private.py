"""Files and directories that no other user of the machine may read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from bus.settings import ADDRESSES, EVIDENCE_KEY_FILE, KEY_FILE

_PUBLIC = stat.S_IRWXG | stat.S_IRWXO
_OURS = (KEY_FILE, EVIDENCE_KEY_FILE, ADDRESSES, "kafka")
"""One of these stands in every data directory that was used before."""


class NotPrivate(RuntimeError):
    """A directory is open to others and is not ours to close. The message says what to do."""


def keep_private(directory: Path) -> bool:
    """Make a data directory, and see to it that this process and all that it starts make files for their owner alone.

    One that is there and open to others is closed (mode 0700): True then. Raises NotPrivate where it is not ours alone.
    """
    os.umask(_PUBLIC)
    directory.mkdir(parents=True, exist_ok=True)
    found = directory.stat()
    if not found.st_mode & _PUBLIC:
        return False
    is_shared = found.st_mode & (stat.S_ISVTX | stat.S_IWOTH) or found.st_uid != os.geteuid()
    if is_shared or not _is_ours(path.name for path in directory.iterdir()):
        raise NotPrivate(
            f"Other users of this machine can read {directory}, where secrets and phone numbers would lie. Choose"
            f" another directory (TRACKLY_DATA_DIR), or `chmod 700 {directory}` if it is for trackly alone."
        )
    directory.chmod(stat.S_IRWXU)
    return True


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in place of what was there."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def _is_ours(names: Iterable[str]) -> bool:
    there = set(names)
    return not there or not there.isdisjoint(_OURS)
