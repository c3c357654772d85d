"""Standalone HTML pages, used without the console."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from console.pages.shell import TEMPLATES


def evidence_page(proof: Mapping[str, Any]) -> str:
    """Return signed evidence as an HTML page with inline style, for reading and printing."""
    css = files("console").joinpath("assets", "console.css").read_text("utf-8")
    return TEMPLATES.get_template("evidence/alone.html").render(**proof, css=Markup(css))
