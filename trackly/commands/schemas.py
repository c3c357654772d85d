"""`trackly schemas`: lists our schemas, and registers them in your registry."""

from __future__ import annotations

import typer

from bus.settings import BusSettings
from schemas.folder_registry import FolderRegistry
from trackly.errors import Failed
from trackly.output import Json, json_line, say, show, table

schemas = typer.Typer(no_args_is_help=True, add_completion=False)


@schemas.callback()
def _schemas() -> None:
    """The schemas of all records, and how to register them elsewhere."""


@schemas.command("list")
def list_schemas(as_json: Json = False) -> None:
    """List every version of every schema, with its ID in records. Needs no broker or registry."""
    catalogue = BusSettings().catalogue
    rows = [
        {
            "id": version["id"],
            "record": record,
            "version": version["version"],
            "compatibility": catalogue.compatibility(record),
            "file": f"schemas/{version['file']}",
        }
        for record, versions in sorted(FolderRegistry().versions.items())
        for version in versions
    ]
    if as_json:
        for row in rows:
            json_line(row)
        return
    table(tuple(rows[0]), (tuple(map(str, row.values())) for row in rows))


@schemas.command("publish")
def publish_schemas(as_json: Json = False) -> None:
    """Register every version of every schema at SCHEMA_REGISTRY_URL, for each topic and each record.

    Services with the same SCHEMA_REGISTRY_URL then write that registry's IDs. Existing versions stay. If the registry
    refuses a schema, the reason is shown. Run this after each upgrade, before the services start.
    """
    from schemas.http_registry import HttpRegistry

    settings = BusSettings()
    if settings.schema_registry_url is None:
        raise Failed("SCHEMA_REGISTRY_URL is not set: there is no registry to publish to.")
    there = HttpRegistry(settings.schema_registry_url)
    folder = FolderRegistry()
    subjects = folder.subjects(settings.catalogue)
    for subject, record in sorted(subjects.items()):
        level = settings.catalogue.compatibility(record)
        ids = there.publish(subject, record, level)
        if as_json:
            json_line({"subject": subject, "record": record, "compatibility": level, "ids": ids})
        else:
            show(f"{subject}: {', '.join(map(str, ids))}")
    say(f"{len(subjects)} subjects are registered. Records with IDs from schemas/registry.toml stay readable.")
