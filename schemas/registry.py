"""Where schema ids come from: the folder beside this file, or a registry over HTTP."""

from __future__ import annotations

from schemas.codec import Registry
from schemas.folder_registry import FolderRegistry


def registry_for(url: str | None) -> Registry:
    """The registry at `url`, or the folder when there is no URL."""
    if not url:
        return FolderRegistry()
    # Few deployments have one; the HTTP client takes a third of a second to import.
    from schemas.http_registry import HttpRegistry

    return HttpRegistry(url)
