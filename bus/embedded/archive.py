"""An archive of Kafka's classes, loaded and linked, that halves the cost of starting a broker.

PyPI's Java lacks the default archive of its own classes. This one holds both (Java 25's AOT cache, JEP 514) and is
stored next to the jars.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bus.embedded.jars import cache_dir

Train = Callable[[Path, str], None]


def class_archive(program: Path, classpath: str, train: Train) -> Path | None:
    """Return the archive (60 MB) for this Java and class path, and create it on first use.

    Returns None while another process creates it, or if that fails: a broker starts without it, too. `train` runs a
    broker with a data directory and one more Java option until it exits. Never raises.
    """
    of = hashlib.sha256(f"{program}\n{classpath}".encode()).hexdigest()[:16]
    path = cache_dir() / f"trackly-kafka-{of}.aot"
    try:
        if not path.exists():
            with (path.parent / "trackly-archive.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not path.exists():
                    _make(path, train)
        return path if path.stat().st_size else None
    except OSError:
        return None


def _make(path: Path, train: Train) -> None:
    with TemporaryDirectory(prefix="trackly-archive-", dir=path.parent) as directory:
        made = Path(directory) / "classes.aot"
        try:
            train(Path(directory) / "kafka", f"-XX:AOTCacheOutput={made}")
        except RuntimeError:
            made.unlink(missing_ok=True)
        # A failure is remembered as an empty file, so that not every start tries again.
        made.touch()
        made.replace(path)
