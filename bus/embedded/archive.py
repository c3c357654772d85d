"""An archive of Kafka's classes as Java has loaded and linked them, with which a broker starts at half the cost.

PyPI's Java comes without the archive of its own classes that others have. This one holds both (Java 25's AOT cache, JEP
514); it lies beside the jars.
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
    """The archive (60 MB) for this Java and class path, made at the first call.

    None while another process makes it, and where it cannot be made: a broker starts without it, too. `train` runs a
    broker with a data directory and one more option for Java, to its end. Raises nothing.
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
        # Remembered as an empty file where it failed: not every start should try.
        made.touch()
        made.replace(path)
