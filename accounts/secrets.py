"""Secrets by reference: `env:NAME` and `file:PATH` are resolved where a secret is used; topics hold no copy."""

from __future__ import annotations

import os
from pathlib import Path


class SecretMissing(LookupError):
    """A secret that a setting points to is not there. The text names the variable or file, never a value."""


def resolve(reference: str) -> str:
    """The secret that a setting means: a literal, `env:NAME` or `file:PATH`. Raises SecretMissing."""
    if reference.startswith("env:"):
        name = reference.removeprefix("env:")
        value = os.environ.get(name, "")
        if not value:
            raise SecretMissing(f"environment variable {name} is not set")
        return value
    if reference.startswith("file:"):
        path = Path(reference.removeprefix("file:"))
        try:
            value = path.read_text("utf-8").strip()
        except OSError as error:
            raise SecretMissing(f"file {path} cannot be read: {error.strerror}") from None
        if not value:
            raise SecretMissing(f"file {path} is empty")
        return value
    return reference


def redacted(reference: str) -> str:
    """A secret as it may be shown: references as they are, literals as stars."""
    return reference if reference.startswith(("env:", "file:")) else "***"
