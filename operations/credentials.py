"""An account's credentials at a provider or network. Pure: settings in, settings out."""

from __future__ import annotations

from collections.abc import Container, Mapping

from msgspec.structs import replace

from accounts.checks import KEEP, check_credential
from operations.as_code.file import CREDENTIALS, POSTBACK_SECRETS
from providers import NETWORKS
from schemas.records import AccountConfig

PREVIOUS = "_previous"
"""Suffix of a secret's name for the old value, which is accepted during rotation."""

PAIRS = (("username", "password"), ("header_name", "header_value"))
"""Credentials that only work together."""

MAX_LENGTH = 500


def credentials_of(source: str) -> tuple[str, ...]:
    """Return the names of a provider's or network's credentials. Raises KeyError for an unknown name."""
    return POSTBACK_SECRETS if source in NETWORKS else CREDENTIALS[source]


def stored_for(config: AccountConfig, source: str) -> Mapping[str, str]:
    """Return the stored credentials of a provider or network, by name."""
    return config.postbacks if source in NETWORKS else config.providers.get(source, {})


def halves(names: Container[str]) -> list[tuple[str, str]]:
    """Return the present and missing parts of incomplete pairs."""
    both = [pair for each in PAIRS for pair in (each, each[::-1])]
    return [(there, missing) for there, missing in both if there in names and missing not in names]


def with_credentials(config: AccountConfig, source: str, given: Mapping[str, str | None]) -> AccountConfig:
    """Return the account with these credentials set, or removed if None; KEEP and unnamed ones stay.

    Raises ValueError with a line per mistake that names the credential, never its value.
    """
    known = credentials_of(source)
    given = {name: value for name, value in given.items() if value != KEEP}
    problems = [f"{name}: is not a credential of {source}" for name in given if name not in known]
    for name, value in given.items():
        if value is not None and name in known:
            problems += _problems(name, value)
    after = {name: value for name, value in {**stored_for(config, source), **given}.items() if value is not None}
    for name in sorted(after):
        if name.endswith(PREVIOUS) and name.removesuffix(PREVIOUS) not in after:
            problems.append(f"{name}: is set, but {name.removesuffix(PREVIOUS)}, its successor, is not")
    problems += [f"{missing}: is missing; {there} does not work without it" for there, missing in halves(after)]
    if problems:
        raise ValueError("\n".join(problems))
    if source in NETWORKS:
        return replace(config, postbacks=after)
    others = {name: values for name, values in config.providers.items() if name != source}
    return replace(config, providers={**others, source: after} if after else others)


def _problems(name: str, value: str) -> list[str]:
    try:
        check_credential(name, value)
    except ValueError as error:
        return [f"{name}: {str(error).partition(';')[0]}"]
    if len(value) > MAX_LENGTH or not value.isprintable():
        return [f"{name}: must be at most {MAX_LENGTH} printable characters"]
    return []
