"""The chart's `values.schema.json`: it accepts the environment variables that the code reads.

`python -m deploy.chart_schema` regenerates its definitions of settings; the rest of the file is written by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bus.settings import BusSettings
from trackly.commands.settings import SERVICES, own_fields

CHART = Path(__file__).parent / "helm" / "trackly"
SCHEMA = CHART / "values.schema.json"

SET_BY_THE_CHART = (
    "TRACKLY_DATA_DIR",
    "TRACKLY_INSTANCE_ID",
    "KAFKA_SSL_CAFILE",
    "KAFKA_SSL_CERTFILE",
    "KAFKA_SSL_KEYFILE",
)

BESIDE_SETTINGS = {
    "TRACKLY_LOG_LEVEL": "least level of what is logged: DEBUG, INFO, WARNING or ERROR, also of single packages:"
    " INFO,sinks=DEBUG",
    "TRACKLY_LOG_FORMAT": "text, or json: an object a line",
}
"""Variables that are read when logs are set up, before there are settings."""

SHARED = {"DATABASE_URL": ""}
"""Variables that are secrets although their type does not say so, and the services that share them."""

WHERE_IT_LISTENS = tuple(
    f"{prefix}_{what}"
    for prefix in ("INGEST", "STREAMS", "SINKS", "READ_MODEL", "CONSOLE", "MIRROR")
    for what in ("HOST", "PORT")
)

_VALUE: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_REFERENCE = {"$ref": "#/definitions/secretKey"}


def definitions() -> dict[str, Any]:
    """Return JSON Schemas: `settings` and `secretSettings` of all services, `ingestSettings` and so on of each."""
    found = {}
    every, every_secret = _meanings(BusSettings, secret=False), _meanings(BusSettings, secret=True)
    for name, settings in SERVICES.items():
        key = "" if settings is BusSettings else _key(name)
        own, own_secret = _meanings(settings, secret=False), _meanings(settings, secret=True)
        found[f"{key}Settings" if key else "settings"] = _object({**every, **own}, _VALUE)
        # Any setting may be kept as a secret.
        secrets = {**every, **every_secret, **own, **own_secret} | (SHARED if not key else {})
        found[f"{key}SecretSettings" if key else "secretSettings"] = _object(dict.fromkeys(secrets, ""), _REFERENCE)
    return found


def schema() -> str:
    """Return the whole file; parts written by hand are unchanged."""
    document = json.loads(SCHEMA.read_text("utf-8"))
    document["definitions"] |= definitions()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _meanings(settings: type[BusSettings], *, secret: bool) -> dict[str, str]:
    """Return the meanings of a service's own settings, by variable name: of secrets, or of the others."""
    found = dict(BESIDE_SETTINGS) if settings is BusSettings and not secret else {}
    for _, field in own_fields(settings):
        name = str(field.validation_alias)
        if name in SET_BY_THE_CHART or name.endswith(WHERE_IT_LISTENS):
            continue
        if secret is ("Secret" in str(field.annotation) or name in SHARED):
            found[name] = field.description or ""
    return found


def _object(meanings: dict[str, str], value: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {**value, **({"description": meanings[name]} if meanings[name] else {})} for name in sorted(meanings)
        },
    }


def _key(service: str) -> str:
    first, *others = service.split("-")
    return first + "".join(word.capitalize() for word in others)


if __name__ == "__main__":
    SCHEMA.write_text(schema(), "utf-8")
