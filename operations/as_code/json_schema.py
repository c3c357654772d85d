"""Generates the JSON Schema of a settings file, for editors and pipelines, from the file's own parser.

The parser runs over a table that records each access, so the schema has exactly the settings that the parser knows.
Mistakes that involve two settings (a list missing from the account) are only found by the parser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import orjson

from accounts import checks
from accounts.alerts import SEVERITIES
from accounts.toml_table import Check, Table
from accounts.urls import POLL, check_target, check_web_address
from operations.as_code.file import DEFAULT_EVENTS, read_account
from schemas.folder_registry import FolderRegistry

Schema = dict[str, Any]

OF_CHECKS: Mapping[Callable[..., None], Schema] = {
    checks.check_id: {"pattern": "^[A-Za-z0-9_.-]{1,64}$"},
    checks.check_number: {"pattern": "^(\\+[1-9][0-9]{6,14}|[0-9]{3,6})$"},
    checks.check_email: {"format": "email"},
    checks.check_event: {"enum": list(checks.EVENTS)},
    checks.check_format: {"enum": list(checks.FORMATS)},
    checks.check_severity: {"enum": list(SEVERITIES)},
    checks.check_scope: {"enum": list(checks.OPT_OUT_SCOPES)},
    checks.check_class: {"enum": list(checks.CLASSES)},
    checks.check_layer: {"enum": list(checks.OPT_OUT_LAYERS)},
    checks.check_duration: {"pattern": "^[0-9]+(ms|s|m|h|d)$"},
    checks.check_sender: {"minLength": 1, "maxLength": checks.MAX_SENDER},
    checks.check_there: {"minLength": 1},
    checks.check_header_value: {"minLength": 1},
    check_web_address: {"pattern": "^https?://"},
    check_target: {"pattern": f"^(https?://.+|{POLL})$"},
}
"""A check's constraints on a text, as far as a schema can express them."""

_DOCS = {"AccountConfig": "", "ListConfig": "lists", "EndpointConfig": "endpoints"}
"""Records whose fields are named like settings, by their position in an account."""


@cache
def json_schema() -> str:
    """Return the schema as text; deterministic for the same parser."""
    account = _Recorder()
    read_account(account)
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Accounts of trackly as code",
        "type": "object",
        "additionalProperties": False,
        "required": ["accounts"],
        "properties": {"accounts": {"type": "array", "minItems": 1, "items": account.schema()}},
    }
    items = whole["properties"]["accounts"]["items"]  # type: ignore[index]
    _describe(items)
    for properties in (items["properties"], items["properties"]["lists"]["items"]["properties"]):
        properties["brake"] = {"anyOf": [{"const": "off"}, properties["brake"]]}
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode() + "\n"


def _describe(account: Schema) -> None:
    """Describe settings with the records' documentation."""
    registry = FolderRegistry()
    for record, place in _DOCS.items():
        properties = (account["properties"][place]["items"] if place else account)["properties"]
        for field in registry.schema(registry.id_of(record))["fields"]:
            if field["name"] in properties:
                properties[field["name"]]["description"] = field["doc"]


class _Every(dict[str, Any]):
    """Values of a table that contains every key asked for; `known` limits the keys it iterates over."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        super().__init__()
        self._known = tuple(known)

    def __contains__(self, key: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)


class _Recorder(Table):
    """A table that records accesses."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        super().__init__({}, "", (), [])
        self.values = _Every(known)
        self._properties: dict[str, Schema | _Recorder | list[_Recorder]] = {}
        self._required: list[str] = []
        self._others: Schema | bool = False

    def schema(self) -> Schema:
        """Return the recorded schema."""
        found: Schema = {"type": "object", "additionalProperties": self._others}
        if self._required:
            found["required"] = self._required
        found["properties"] = {key: _written(value) for key, value in self._properties.items()}
        return found

    def problem(self, key: str, message: str) -> None:
        """Ignore a problem: the table is not real."""

    def check_name(self, key: str, name: str, check: Check) -> None:
        """Ignore a name check: there are no names."""

    def required(self, key: str, check: Check) -> str:
        self._required.append(key)
        self.text(key, check)
        return ""

    def text(self, key: str, check: Check | None = None) -> str | None:
        self._properties[key] = _text(check)
        return None

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        self._properties[key] = {"type": "integer", "minimum": least, "maximum": most}
        return default

    def number(self, key: str, least: float, most: float) -> float | None:
        self._properties[key] = {"type": "number", "minimum": least, "maximum": most}
        return None

    def moment(self, key: str) -> int | None:
        # TOML dates do not exist in JSON; editors treat them as strings.
        self._properties[key] = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}"}
        return None

    def flag(self, key: str, default: bool) -> bool:
        self._properties[key] = {"type": "boolean", "default": default}
        return default

    def texts(self, key: str, check: Check) -> tuple[str, ...]:
        self._properties[key] = {"type": "array", "uniqueItems": True, "items": _text(check)}
        return DEFAULT_EVENTS if check is checks.check_event else ()

    def texts_by_name(self, check: Check) -> dict[str, str]:
        names = tuple(self.values)
        if names:
            self._properties |= dict.fromkeys(names, _text(check))
        else:
            self._others = _text(check)
        return {}

    def numbers_by_name(self, least: float, most: float) -> dict[str, float]:
        self._others = {"type": "number", "minimum": least, "maximum": most}
        return {}

    def table(self, key: str, known: Iterable[str], what: str = "setting") -> Table | None:
        inner = _Recorder(known)
        self._properties[key] = inner
        return inner

    def tables(self, key: str, known: Iterable[str]) -> list[Table]:
        inner = _Recorder(known)
        self._properties[key] = [inner]
        return [inner]

    def tables_by_name(self, key: str, known: dict[str, tuple[str, ...]], what: str) -> dict[str, Table]:
        outer = _Recorder(known)
        inner: dict[str, Table] = {name: _Recorder(names) for name, names in known.items()}
        outer._properties |= inner  # type: ignore[arg-type]
        self._properties[key] = outer
        return inner


def _text(check: Check | None) -> Schema:
    return {"type": "string", **(OF_CHECKS.get(check, {}) if check is not None else {})}


def _written(value: Schema | _Recorder | list[_Recorder]) -> Schema:
    if isinstance(value, _Recorder):
        return value.schema()
    if isinstance(value, list):
        return {"type": "array", "items": value[0].schema()}
    return dict(value)
