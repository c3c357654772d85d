"""`trackly topics docs`: the reference of topics, settings, and metrics, generated from the catalogue and the code."""

from __future__ import annotations

from pathlib import Path

from operations.as_code.json_schema import json_schema
from schemas.topics import Catalogue
from trackly.commands.topics.docs.asyncapi import asyncapi
from trackly.commands.topics.docs.contract import contract
from trackly.commands.topics.docs.metrics import metrics_page
from trackly.commands.topics.docs.pages import index, page, pages_of
from trackly.commands.topics.docs.settings import settings_page
from trackly.commands.topics.docs.webhooks import webhook_schemas

GENERATED = (
    "settings.md",
    "metrics.md",
    "topics/*.md",
    "webhooks/*.schema.json",
    "accounts.schema.json",
    "asyncapi.yaml",
    "contract.odcs.yaml",
)
"""Paths in the folder that belong to the reference; files there that are no longer generated are deleted."""


def reference() -> dict[str, str]:
    """Return texts by path in the docs folder. They describe a deployment with default settings."""
    catalogue = Catalogue()
    topics = pages_of(catalogue)
    return {
        "topics/README.md": index(topics),
        **{f"topics/{name}.md": page(name, topic, catalogue) for name, topic in topics.items()},
        **{f"webhooks/{event}.schema.json": text for event, text in webhook_schemas().items()},
        "settings.md": settings_page(),
        "metrics.md": metrics_page(),
        "accounts.schema.json": json_schema(),
        "asyncapi.yaml": asyncapi(catalogue),
        "contract.odcs.yaml": contract(catalogue),
    }


def differences(folder: Path) -> list[str]:
    """Return the paths in a folder that are out of date, sorted."""
    return _differences(folder, reference())


def write(folder: Path) -> list[str]:
    """Write the reference; returns the paths that changed, sorted."""
    wanted = reference()
    changed = _differences(folder, wanted)
    for path in changed:
        if path not in wanted:
            (folder / path).unlink()
            continue
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(wanted[path], "utf-8")
    return changed


def _differences(folder: Path, wanted: dict[str, str]) -> list[str]:
    stale = [path for path, text in wanted.items() if _text(folder / path) != text]
    return sorted(stale + _leftover(folder, wanted))


def _leftover(folder: Path, wanted: dict[str, str]) -> list[str]:
    present = [str(path.relative_to(folder)) for pattern in GENERATED for path in folder.glob(pattern)]
    return [path for path in present if path not in wanted]


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
