"""The installed version of trackly."""

from __future__ import annotations

from functools import cache
from importlib import metadata


@cache
def version() -> str:
    """Return the version. The package's metadata is parsed once, which takes a millisecond."""
    return metadata.version("trackly")
