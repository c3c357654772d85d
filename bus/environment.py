"""How every settings class reads the environment, and how a mistake in it is reported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.masking import masked_address


class Environment(PydanticBaseSettingsSource):
    """Environment variables by the exact names in the fields' `validation_alias`; empty means unset.

    pydantic-settings' own source would also read variables named like a field (`PARTITIONS`, `COMPRESSION`) once fields
    may be given by name.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the variable's text or None, the key to validate it under, and False: it is not JSON."""
        name = str(field.validation_alias or field_name)
        text = os.environ.get(name, "")
        return text if text.strip() else None, name, False

    def __call__(self) -> dict[str, Any]:
        """Return the texts of the variables that are set, by name."""
        found = (self.get_field_value(field, name) for name, field in self.settings_cls.model_fields.items())
        return {name: text for text, name, _ in found if text is not None}


class Settings(BaseSettings):
    """Base of all settings classes. Keyword arguments (by field name) override the environment."""

    model_config = SettingsConfigDict(frozen=True, populate_by_name=True, extra="ignore")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use keyword arguments first, then the environment."""
        return init_settings, Environment(settings_cls)


def separated(value: object) -> object:
    """Return the parts of a text with commas, or the items of a list, without blanks and empty ones. Anything else is
    returned as it is, for pydantic to reject."""
    given = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip() for part in given if part.strip()) if isinstance(given, list | tuple) else value


def settings_error(error: ValidationError) -> str:
    """Format one line per problem: the environment variable, what is wrong, what is expected. Contains no secrets."""
    fields = _fields(error.title)
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        if problem["type"] == "default_factory_not_called":
            continue  # a follow-up of an earlier field's error
        message = problem["msg"].removeprefix("Value error, ")
        field = fields.get(str(problem["loc"][0])) if problem["loc"] else None
        if field is None:
            lines.append(message)
            continue
        # This project's own validators name the value if it may be shown.
        hidden = problem["type"] == "value_error" or "SecretStr" in str(field.annotation)
        value = "" if hidden else f"={masked_address(str(problem['input']))}"
        lines.append(f"{field.validation_alias}{value}: {message}. Expected: {(field.description or '').rstrip('.')}.")
    return "\n".join(lines)


def _fields(title: str) -> dict[str, FieldInfo]:
    """Return the fields of a settings class, by field name and by environment variable."""
    fields: dict[str, FieldInfo] = {}
    for settings in _descendants(Settings):
        if settings.__name__ == title:
            for name, field in settings.model_fields.items():
                fields[name] = fields[str(field.validation_alias)] = field
    return fields


def _descendants(settings: type[Settings]) -> Iterator[type[Settings]]:
    for child in settings.__subclasses__():
        yield child
        yield from _descendants(child)
