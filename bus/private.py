"""Files and directories that no other user of the machine may read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from bus.up_files import ADDRESSES, EVIDENCE_KEY_FILE, KEY_FILE

_PUBLIC = stat.S_IRWXG | stat.S_IRWXO
_OURS = (KEY_FILE, EVIDENCE_KEY_FILE, ADDRESSES, "kafka")
"""One of these exists in every data directory that has been used."""


class NotPrivate(RuntimeError):
    """A directory is open to others and we may not close it. The message gives the remedy."""


def keep_private(directory: Path) -> bool:
    """Create a data directory, and set the umask so that this process and its children create private files.

    Closes an existing directory that is open to others (mode 0700), and then returns True. Raises NotPrivate if it is
    not ours alone.
    """
    os.umask(_PUBLIC)
    directory.mkdir(parents=True, exist_ok=True)
    found = directory.stat()
    if not found.st_mode & _PUBLIC:
        return False
    is_shared = found.st_mode & (stat.S_ISVTX | stat.S_IWOTH) or found.st_uid != os.geteuid()
    if is_shared or not _is_ours(path.name for path in directory.iterdir()):
        raise NotPrivate(
            f"Other users of this machine can read {directory}, which will hold secrets and phone numbers. Choose "
            f"another directory (TRACKLY_DATA_DIR), or run `chmod 700 {directory}` if only trackly uses it."
        )
    directory.chmod(stat.S_IRWXU)
    return True


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, replacing an existing one."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def _is_ours(names: Iterable[str]) -> bool:
    there = set(names)
    return not there or not there.isdisjoint(_OURS)
