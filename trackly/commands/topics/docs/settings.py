"""The page of settings, written from the classes that services read."""

from __future__ import annotations

from bus.settings import BusSettings
from trackly.commands.settings import SERVICES, default_of, own_fields

_HEAD = """\
# Settings

Environment variables; an empty one counts as not set. `trackly settings` shows them with the values that they have, and
says what is wrong with them. Secrets are shown nowhere.

Two more are read by every service: `TRACKLY_LOG_LEVEL` (DEBUG, INFO, WARNING, ERROR; by default INFO; of single
packages too: `INFO,sinks=DEBUG,aiokafka=ERROR`) and `TRACKLY_LOG_FORMAT` (text, or json: an object a line, with trace
id, account, topic and partition where the line is about one). Services that run also read OpenTelemetry's variables
`OTEL_…` ([traces](operating/traces.md)).

This page is written by `trackly topics docs`.
"""


def settings_page() -> str:
    """A table a service."""
    parts = [_HEAD]
    for service, settings in SERVICES.items():
        title = "Every service" if settings is BusSettings else service.capitalize().replace("-", " ")
        rows = [
            f"| `{field.validation_alias}` | {_cell(default_of(field, {}))} | {_sentence(field.description or '')} |"
            for _, field in own_fields(settings)
        ]
        parts.append("\n".join([f"## {title}", "", "| name | default | meaning |", "| --- | --- | --- |", *rows, ""]))
    return "\n".join(parts)


def _cell(default: object) -> str:
    text = {True: "true", False: "false"}.get(default, default) if isinstance(default, bool) else default
    return "" if text in (None, "", ()) else f"`{text}`"


def _sentence(meaning: str) -> str:
    text = meaning.replace("|", "\\|").rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."
