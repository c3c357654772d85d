"""`trackly export`: accounts, lists and endpoints as code."""

from __future__ import annotations

from operations.as_code.export import export as export_toml
from trackly.output import show
from trackly.reading import current_accounts


def export() -> None:
    """Print accounts, lists, and endpoints as a TOML file for `trackly apply`.

    Secrets that are references (env:, file:) stay as they are; others are printed as *** and keep their value when
    applied.
    """
    show(export_toml(current_accounts()).rstrip("\n"))
