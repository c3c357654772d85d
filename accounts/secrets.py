"""Secrets in settings: references resolved on use, and literals stored encrypted on Kafka.

`env:NAME` and `file:PATH` refer to a secret; topics hold no copy. Any other text is the secret itself, and is sealed
before writing: `enc:v1:` and a Fernet token (https://github.com/fernet/spec/blob/master/Spec.md) made with the first
key of TRACKLY_SECRET_KEYS. Literals written before keys existed stay readable.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from msgspec.structs import replace

from bus.settings import BusSettings
from schemas.records import AccountConfig, EndpointConfig

SEALED = "enc:v1:"
"""Prefix of an encrypted secret. The number identifies the method."""

REFERENCES = ("env:", "file:")

C = TypeVar("C")


class SecretMissing(LookupError):
    """A secret is unavailable. The text names the variable, the file, or the setting, never a value."""


class KeyRing:
    """Keys for secrets at rest, newest first: the first seals, any of them opens."""

    def __init__(self, keys: tuple[str, ...] = ()) -> None:
        self._fernets = [Fernet(key) for key in keys]
        self._all = MultiFernet(self._fernets) if keys else None

    def __bool__(self) -> bool:
        return self._all is not None

    def seal(self, secret: str) -> str:
        """Encrypt a literal; references and sealed secrets are unchanged. Without keys, the literal is unchanged
        too."""
        if self._all is None or not is_literal(secret):
            return secret
        return SEALED + self._all.encrypt(secret.encode()).decode("ascii")

    def open(self, secret: str) -> str:
        """Decrypt a sealed secret; other texts are unchanged. Raises SecretMissing if no key fits."""
        if not secret.startswith(SEALED):
            return secret
        if self._all is None:
            raise SecretMissing("a secret is encrypted, but TRACKLY_SECRET_KEYS is not set here")
        try:
            return self._all.decrypt(secret.removeprefix(SEALED)).decode()
        except InvalidToken:
            raise SecretMissing("a secret is encrypted with a key that is missing from TRACKLY_SECRET_KEYS") from None

    def reseal(self, secret: str) -> str:
        """Seal with the newest key, unless that is already the case. Raises SecretMissing."""
        if self._all is None or secret.startswith(REFERENCES):
            return secret
        return secret if self._is_newest(secret) else self.seal(self.open(secret))

    def _is_newest(self, secret: str) -> bool:
        try:
            self._fernets[0].decrypt(secret.removeprefix(SEALED))
        except InvalidToken:
            return False
        return secret.startswith(SEALED)


@cache
def keyring() -> KeyRing:
    """Return this process's keys from its settings, which are read once."""
    return KeyRing(tuple(key.get_secret_value() for key in BusSettings().secret_keys))


def new_key() -> str:
    """Return a new key for TRACKLY_SECRET_KEYS: 32 random bytes in URL-safe base64."""
    return Fernet.generate_key().decode("ascii")


def keep_key(path: Path) -> bool:
    """Create a file with a new key that only its owner can read; False if it exists."""
    if path.exists():
        return False
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(new_key() + "\n")
    try:
        os.link(new, path)  # atomic, and never replaces an existing file
    except FileExistsError:
        return False
    finally:
        new.unlink()
    return True


def resolve(reference: str) -> str:
    """Resolve a setting's secret: `env:NAME`, `file:PATH`, a sealed or a plain literal. Raises SecretMissing."""
    if reference.startswith("env:"):
        name = reference.removeprefix("env:")
        value = os.environ.get(name, "")
        if not value:
            raise SecretMissing(f"environment variable {name} is not set")
        return value
    if reference.startswith("file:"):
        path = Path(reference.removeprefix("file:"))
        try:
            value = path.read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise SecretMissing(f"file {path} cannot be read: {why}") from None
        if not value:
            raise SecretMissing(f"file {path} is empty")
        return value
    return keyring().open(reference) if reference.startswith(SEALED) else reference


def redacted(reference: str) -> str:
    """Return a secret for display: references unchanged, literals as stars."""
    return reference if reference.startswith(REFERENCES) else "***"


def is_literal(secret: str) -> bool:
    """Whether this is the secret itself, in plain text."""
    return not secret.startswith((*REFERENCES, SEALED))


def secrets_of(config: object) -> Iterator[str]:
    """Return all secrets of a setting, as stored."""
    found: list[str] = []

    def note(secret: str) -> str:
        found.append(secret)
        return secret

    with_secrets(config, note)
    yield from found


def with_secrets(config: C, change: Callable[[str], str]) -> C:
    """Return a setting with each of its secrets changed. This is the only place that knows which fields hold
    secrets."""

    def optional(secret: str | None) -> str | None:
        return None if secret is None else change(secret)

    def each(secrets: Mapping[str, str]) -> dict[str, str]:
        return {name: change(secret) for name, secret in secrets.items()}

    match config:
        case EndpointConfig():
            return replace(
                config,
                secret=change(config.secret),
                secret_next=optional(config.secret_next),
                headers=each(config.headers),
            )
        case AccountConfig():
            return replace(
                config,
                providers={provider: each(secrets) for provider, secrets in config.providers.items()},
                postbacks=each(config.postbacks),
                discord_webhook_url=optional(config.discord_webhook_url),
                callback_secret=optional(config.callback_secret),
                slack_webhook_url=optional(config.slack_webhook_url),
                alert_webhook_url=optional(config.alert_webhook_url),
                alert_webhook_secret=optional(config.alert_webhook_secret),
            )
        case _:
            return config
