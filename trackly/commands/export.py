"""`trackly export`: accounts, lists and endpoints as code."""

from __future__ import annotations

from accounts.secrets import keyring
from operations.as_code.export import export as export_toml
from trackly.output import show
from trackly.reading import current_accounts


def export() -> None:
    """Print accounts, lists, and endpoints as a TOML file for `trackly apply`.

    Secrets that are references (env:, file:) stay as they are; others are printed as *** and keep their value when
    applied. Applied where they are not stored, the file is refused, and each *** to fill in is named.
    """
    show(export_toml(current_accounts(), keyring()).rstrip("\n"))
