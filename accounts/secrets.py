"""Secrets in settings: references that are resolved where they are used, and literals that lie encrypted on Kafka.

`env:NAME` and `file:PATH` point to a secret; topics hold no copy. Any other text is the secret itself, and is sealed
before it is written: `enc:v1:` and a Fernet token (https://github.com/fernet/spec/blob/master/Spec.md), made with the
first of the keys in TRACKLY_SECRET_KEYS. Literals from before there were keys stay readable.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bus.settings import BusSettings
from schemas.records import AccountConfig, EndpointConfig

SEALED = "enc:v1:"
"""What a secret that was encrypted begins with. The number is that of the method."""

REFERENCES = ("env:", "file:")

C = TypeVar("C")


class SecretMissing(LookupError):
    """A secret cannot be had. The text names the variable, the file or the setting, never a value."""


class KeyRing:
    """Keys of secrets at rest, the newest first: it seals, all of them open."""

    def __init__(self, keys: tuple[str, ...] = ()) -> None:
        self._fernets = [Fernet(key) for key in keys]
        self._all = MultiFernet(self._fernets) if keys else None

    def __bool__(self) -> bool:
        return self._all is not None

    def seal(self, secret: str) -> str:
        """A literal encrypted; references and what is sealed as they are. Without keys, the literal itself."""
        if self._all is None or not is_literal(secret):
            return secret
        return SEALED + self._all.encrypt(secret.encode()).decode("ascii")

    def open(self, secret: str) -> str:
        """What was sealed; other texts as they are. Raises SecretMissing when no key fits."""
        if not secret.startswith(SEALED):
            return secret
        if self._all is None:
            raise SecretMissing("a secret is encrypted, and TRACKLY_SECRET_KEYS is not set here")
        try:
            return self._all.decrypt(secret.removeprefix(SEALED)).decode()
        except InvalidToken:
            raise SecretMissing("a secret is encrypted with a key that is not in TRACKLY_SECRET_KEYS") from None

    def reseal(self, secret: str) -> str:
        """Sealed with the newest key, whatever it was before; as it is if that is so already. Raises SecretMissing."""
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
    """The keys of this process, from its settings. They are read once."""
    return KeyRing(tuple(key.get_secret_value() for key in BusSettings().secret_keys))


def new_key() -> str:
    """A new key for TRACKLY_SECRET_KEYS: 32 random bytes in URL-safe base64."""
    return Fernet.generate_key().decode("ascii")


def keep_key(path: Path) -> bool:
    """Make a file with a new key that only its owner can read; False when there is one already."""
    if path.exists():
        return False
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(new_key() + "\n")
    try:
        os.link(new, path)  # appears whole, and never in place of another
    except FileExistsError:
        return False
    finally:
        new.unlink()
    return True


def resolve(reference: str) -> str:
    """The secret that a setting means: `env:NAME`, `file:PATH`, a sealed or a plain literal. Raises SecretMissing."""
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
    """A secret as it may be shown: references as they are, literals as stars."""
    return reference if reference.startswith(REFERENCES) else "***"


def is_literal(secret: str) -> bool:
    """Whether this is the secret itself, in plain text."""
    return not secret.startswith((*REFERENCES, SEALED))


def secrets_of(config: object) -> Iterator[str]:
    """All secrets of a setting, as they stand in it."""
    found: list[str] = []

    def note(secret: str) -> str:
        found.append(secret)
        return secret

    with_secrets(config, note)
    yield from found


def with_secrets(config: C, change: Callable[[str], str]) -> C:
    """A setting with each of its secrets changed. Which fields hold secrets is said here and nowhere else."""

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
