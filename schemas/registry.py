"""Selects the source of schema ids: the folder of this file, or a registry over HTTP."""

from __future__ import annotations

from schemas.codec import Registry
from schemas.folder_registry import FolderRegistry


def registry_for(url: str | None) -> Registry:
    """Return the registry at `url`, or the folder without a URL."""
    if not url:
        return FolderRegistry()
    # Few deployments need it, and the HTTP client takes a third of a second to import.
    from schemas.http_registry import HttpRegistry

    return HttpRegistry(url)
