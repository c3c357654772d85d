"""Pages that stand alone in a file, without the console."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from console.pages.shell import TEMPLATES


def evidence_page(proof: Mapping[str, Any]) -> str:
    """Signed evidence as a page of HTML with its style in it, to be read and printed."""
    css = files("console").joinpath("assets", "console.css").read_text("utf-8")
    return TEMPLATES.get_template("evidence/alone.html").render(**proof, css=Markup(css))
