"""Which packages trackly consists of."""

from __future__ import annotations

import tomllib
from pathlib import Path

from setuptools import find_packages

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

PACKAGES = sorted(
    name
    for name in find_packages(str(ROOT), exclude=PYPROJECT["tool"]["setuptools"]["packages"]["find"]["exclude"])
    if "." not in name
)
"""Return the top-level packages, as installed."""
