"""Errors as sentences for the person at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

NO_KEY = (
    "would be stored on Kafka in plain text, because there is no key to encrypt with. Create one with `trackly secrets "
    "new-key`"
    " and set TRACKLY_SECRET_KEYS, here and for every service; or write env:NAME or file:PATH; or pass --plain-secrets."
)
"""What to do about a secret that cannot be encrypted; follows the name of the secret."""


class Failed(Exception):
    """A command cannot do what was asked. The text says why and what to do; the exit code is 1."""


class TopicsMissing(Failed):
    """Topics of the catalogue are missing on the broker."""

    def __init__(self, names: Sequence[str]) -> None:
        others = f" and {len(names) - 3} more" if len(names) > 3 else ""
        super().__init__(f"There is no topic {', '.join(names[:3])}{others}: run `trackly topics apply`.")


def check_topics(names: Iterable[str], existing: Container[str]) -> None:
    """Raise TopicsMissing unless all of them exist."""
    missing = [name for name in names if name not in existing]
    if missing:
        raise TopicsMissing(missing)


def sentence(error: BaseException) -> str | None:
    """Return a sentence about an error that a person can fix; None for a bug."""
    for module, name, explain in _EXPECTED:
        # An error of a module that nobody imported cannot have been raised; importing it takes time.
        if module in sys.modules and isinstance(error, getattr(sys.modules[module], name)):
            return explain(error)
    return None


def _settings(error: Any) -> str:
    from bus.environment import settings_error

    return settings_error(error)


def _kafka(error: Any) -> str:
    return f"Kafka did not carry out the request: {error}. Check KAFKA_BOOTSTRAP_SERVERS and the other KAFKA_*."


def _tls(error: Any) -> str:
    return f"The TLS files cannot be used: {error}. Check KAFKA_SSL_CAFILE, _CERTFILE, _KEYFILE."


def _database(error: Any) -> str:
    # The texts of databases repeat values and addresses with passwords.
    name = type(getattr(error, "orig", None) or error).__name__
    return (
        f"The database did not carry out the request ({name}). Check DATABASE_URL and that it runs; without one it is "
        "console.db in TRACKLY_DATA_DIR, which `trackly up` or `trackly read-model` creates."
    )


def _file(error: Any) -> str:
    return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror or error}."


_EXPECTED: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("trackly.errors", "Failed", str),
    ("pydantic", "ValidationError", _settings),
    ("bus.admin", "AdminError", str),
    ("bus.layout", "LayoutError", str),
    ("bus.logs", "LogSettingWrong", str),
    ("bus.kafka_time", "ClockWrong", str),
    ("bus.kept_key", "PseudonymKeyWrong", str),
    ("bus.reading.topic", "Stalled", str),
    ("bus.telemetry.environment", "TelemetryWrong", str),
    ("bus.tables.store", "StoreInUse", str),
    ("bus.embedded.broker", "EmbeddedKafkaError", str),
    ("bus.private", "NotPrivate", str),
    ("schemas.folder_registry", "RegistryError", str),
    ("operations.as_code.plan", "PlanError", str),
    ("accounts.secrets", "SecretMissing", str),
    ("accounts.store", "SettingsTooNew", str),
    ("aiokafka.errors", "KafkaError", _kafka),
    ("kafka.errors", "KafkaError", _kafka),
    ("database.engine", "DatabaseUrlError", str),
    ("database.migrating", "DatabaseTooNew", str),
    ("sqlalchemy.exc", "DBAPIError", _database),
    ("ssl", "SSLError", _tls),
    ("builtins", "OSError", _file),
)
"""Module, class, and explanation of errors that are not bugs; the first match counts."""
