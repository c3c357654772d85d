"""`trackly settings`: what is configured, and what can be."""

from __future__ import annotations

import os
from typing import Any

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from bus.environment import Settings, settings_error
from bus.settings import BusSettings
from console.settings import ConsoleSettings
from ingest.settings import IngestSettings
from readmodel.settings import ReadModelSettings
from schemas.masking import masked_address
from sinks.settings import SinksSettings
from streams.settings import StreamsSettings
from trackly.commands.mirror.settings import MirrorSettings
from trackly.output import Json, json_line, say, show, table

SERVICES: dict[str, type[BusSettings]] = {
    "every service": BusSettings,
    "ingest": IngestSettings,
    "streams": StreamsSettings,
    "sinks": SinksSettings,
    "read-model": ReadModelSettings,
    "console": ConsoleSettings,
    "mirror": MirrorSettings,
}


def settings(as_json: Json = False) -> None:
    """Print every setting: its environment variable, current value, default, and meaning. Secrets are shown as
    `***`.
    """
    problems = []
    for service, settings_class in SERVICES.items():
        values, problem = _values(settings_class)
        rows = [_row(service, field, values.get(name), values) for name, field in own_fields(settings_class)]
        if as_json:
            for row in rows:
                json_line(row)
        else:
            show(f"{service}")
            table(
                ("name", "value", "default", "meaning"),
                ([_text(row[column]) for column in ("name", "value", "default", "meaning")] for row in rows),
            )
            show("")
        problems += [line for line in problem.splitlines() if line not in problems]
    if problems:
        say("\n".join(problems))
        raise typer.Exit(1)


def own_fields(settings_class: type[BusSettings]) -> list[tuple[str, FieldInfo]]:
    """Return the fields, by name, that only this service has."""
    fields = settings_class.model_fields.items()
    return [each for each in fields if settings_class is BusSettings or each[0] not in BusSettings.model_fields]


def default_of(field: FieldInfo, values: dict[str, Any]) -> Any:
    """Return a field's default for display, given the values of earlier fields."""
    return _shown(_default(field, values))


def _values(settings_class: type[Settings]) -> tuple[dict[str, Any], str]:
    """Return values by field name, and problems; if there are any, the values are as given."""
    try:
        found = settings_class()
        return {name: getattr(found, name) for name in settings_class.model_fields}, ""
    except ValidationError as error:
        return {
            name: os.environ.get(str(field.validation_alias)) or _default(field, {})
            for name, field in settings_class.model_fields.items()
        }, settings_error(error)


def _row(service: str, field: FieldInfo, value: Any, values: dict[str, Any]) -> dict[str, Any]:
    name = str(field.validation_alias)
    if "Secret" in str(field.annotation) and value is not None:
        value = "***"
    return {
        "service": service,
        "name": name,
        "value": _shown(value),
        "default": default_of(field, values),
        "set": bool(os.environ.get(name, "").strip()),
        "meaning": field.description or "",
    }


def _default(field: FieldInfo, values: dict[str, Any]) -> Any:
    if "Secret" in str(field.annotation):
        return None
    try:
        return field.get_default(call_default_factory=True, validated_data=values)
    except (KeyError, TypeError):
        return None


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, frozenset):
        value = tuple(sorted(value))
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return masked_address(text)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
