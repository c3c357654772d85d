"""Codes of failures in the settings of accounts: the name of a provider, a space, and its code. Pure."""

from __future__ import annotations

from accounts.toml_table import quoted
from providers import PROVIDERS

CODED_PROVIDERS = tuple(name for name, provider in PROVIDERS.items() if provider.codes is not None)
"""Providers whose reports have codes."""

MAX_CODE = 100
"""Characters of a code."""


def check_code(value: str) -> None:
    provider, _, code = value.partition(" ")
    if provider not in CODED_PROVIDERS or not code or code != code.strip() or len(code) > MAX_CODE:
        known = ", ".join(CODED_PROVIDERS)
        raise ValueError(f"{quoted(value)} is not a valid code: write a provider ({known}), a space, and its code")
