"""Checks settings, the database, the registry, and the machine."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from bus.settings import BusSettings
from inbound.settings import RESERVED_FILES
from schemas.folder_registry import FolderRegistry, RegistryError
from trackly.commands.doctor.findings import Finding, failed, fine
from trackly.commands.environment import invalid_values, misspelled_names

LEAST_FREE = 0.05
"""Share of a disk that must be free."""


def settings() -> Iterator[Finding]:
    """Report settings that services would refuse to start with."""
    for line in invalid_values():
        yield Finding("settings", "invalid", "error", line, "Correct the value; `trackly settings` shows all settings.")


def unknown_settings() -> Iterator[Finding]:
    """Report variables that are probably meant as settings, and that no service reads."""
    for line in misspelled_names(os.environ):
        yield Finding(
            "settings", "unknown", "warning", line, "Correct the name; `trackly settings` shows all settings."
        )


def database(url: str) -> Finding:
    """Whether the database answers and has this version's tables."""
    from sqlalchemy.exc import DBAPIError

    from database.engine import DatabaseUrlError, disposing, open_engine
    from database.migrating import DatabaseTooNew, is_migrated

    try:
        with disposing(open_engine(url, read_only=True)) as engine:
            migrated = is_migrated(engine)
    except DatabaseTooNew as error:
        return failed("database", "too_new", error, "Run the newer version, or restore a backup from before it.")
    except (DatabaseUrlError, DBAPIError) as error:
        return failed("database", "unreachable", error, "Check DATABASE_URL, and that the database is running.")
    if not migrated:
        return Finding(
            "database", "not_migrated", "error", "the tables are not those of this version",
            "Run `trackly read-model migrate`.",
        )  # fmt: skip
    return fine("database", "it answers, with the tables of this version")


def registry(settings: BusSettings) -> Finding:
    """Whether the schema registry answers and has our subjects."""
    from schemas.http_registry import HttpRegistry

    if settings.schema_registry_url is None:
        return fine("registry", "none is set: the IDs in schemas/registry.toml are used")
    try:
        there = HttpRegistry(settings.schema_registry_url).subjects()
    except RegistryError as error:
        return failed("registry", "unreachable", error, "Check SCHEMA_REGISTRY_URL, and that the registry is running.")
    missing = sorted(set(FolderRegistry().subjects(settings.catalogue)) - there)
    if missing:
        return Finding(
            "registry", "subjects_missing", "error", f"it lacks {len(missing)} subjects, such as {missing[0]}",
            "Run `trackly schemas publish`.",
        )  # fmt: skip
    return fine("registry", "it answers, and has every subject")


def open_files(connections: int) -> Finding:
    """Whether a process may open as many files here as ingest needs for its connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + RESERVED_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        return Finding(
            "files", "too_few", "warning", f"a process may have {hard} files open; ingest needs {needed}",
            f"Raise it (`ulimit -n {needed}`, LimitNOFILE={needed}), or lower TRACKLY_MAX_CONNECTIONS.",
        )  # fmt: skip
    return fine("files", f"{needed} may be open")


def directory(path: Path) -> Finding:
    """Whether the data directory is writable and has room."""
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        return Finding(
            "directory",
            "not_writable",
            "error",
            f"{path} is not writable",
            "Set TRACKLY_DATA_DIR, or change the directory's owner.",
        )
    usage = shutil.disk_usage(there)
    if usage.free < LEAST_FREE * usage.total:
        return Finding(
            "directory", "full", "warning", f"{usage.free / usage.total:.0%} of the disk of {path} is free",
            "Free some space: tables and logs are stored there.",
        )  # fmt: skip
    return fine("directory", f"{path} is writable")


def keys(settings: BusSettings) -> Iterator[Finding]:
    """Report missing keys, without which something does not work."""
    if not settings.secret_keys:
        yield Finding(
            "keys", "no_secret_keys", "warning", "TRACKLY_SECRET_KEYS is not set: secrets are on Kafka in plain text",
            "Create one with `trackly secrets new-key`, set it for every service, then run `trackly secrets rewrap`.",
        )  # fmt: skip
    if settings.pseudonyms is None:
        yield Finding(
            "keys", "no_pseudonym_key", "warning", "TRACKLY_PSEUDONYM_KEY is not set: no number can be erased",
            "Set one (`openssl rand -hex 32`), the same for every service, and never change it.",
        )  # fmt: skip
    if settings.evidence_key is None:
        yield Finding(
            "keys", "no_evidence_key", "warning", "TRACKLY_EVIDENCE_KEY is not set: evidence cannot be signed",
            "Create one with `trackly secrets new-evidence-key`.",
        )  # fmt: skip
