"""Accounts as code: the changes that a TOML file makes to the current settings.

Pure: the caller reads the current settings, shows the plan, and writes `plan.configs`. Stored settings that the file
does not name stay unchanged.
"""

from __future__ import annotations

import base64
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec.structs import replace

from accounts.checks import KEEP
from accounts.lists import address_key, addresses_of
from accounts.model import Accounts, Config, all_configs, config_key
from accounts.secrets import KeyRing, is_literal, secrets_of, with_secrets
from accounts.toml_table import nearest
from operations.as_code.file import (
    KEPT_ACCOUNT_FIELDS,
    KEPT_FIELDS,
    PATHS,
    Entry,
    read_endpoint,
    read_file,
    read_list,
)
from operations.as_code.notes import deletion_notes, file_notes, move_notes, pause_notes
from schemas.records import AccountConfig, EndpointConfig, ListConfig

KINDS: dict[type[Config], Literal["account", "list", "endpoint"]] = {
    AccountConfig: "account",
    ListConfig: "list",
    EndpointConfig: "endpoint",
}

_OPTIONAL_SECRETS = (
    *("discord_webhook_url", "callback_secret", "slack_webhook_url", "alert_webhook_url", "alert_webhook_secret"),
)
"""Optional secrets of an account."""


class PlanError(ValueError):
    """A file that cannot be applied. `problems` lists all of them, one sentence each, without secrets."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Change:
    """The change to one setting. `fields` are the dotted paths that an update changes."""

    kind: Literal["account", "list", "endpoint"]
    key: str
    action: Literal["create", "update", "unchanged", "delete"]
    fields: tuple[str, ...]
    config: Config = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes that a file makes.

    `new_secrets`: generated secrets by endpoint key. `pruned`: stored lists and endpoints to delete. `untouched`: other
    stored settings that the file does not name. `notes`: sentences for the person applying it.
    """

    changes: tuple[Change, ...]
    new_secrets: Mapping[str, str] = field(repr=False)
    pruned: tuple[Change, ...] = ()
    untouched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def unsealed(self) -> list[str]:
        """Keys of settings whose secret would be written in plain text because there is no encryption key."""
        return [config_key(config) for config in self.configs if any(map(is_literal, secrets_of(config)))]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to change."""
        return not self.configs and not self.pruned

    @property
    def configs(self) -> list[Config]:
        """The settings to write."""
        return [change.config for change in self.changes if change.action != "unchanged"]


def new_secret() -> str:
    """Return a new signing secret in the format of Standard Webhooks: `whsec_` and the base64 of 24 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode("ascii")


def check_file(text: str) -> None:
    """Find the mistakes that a file has whatever is stored. Raises PlanError."""
    _, problems = read_file(text)
    if problems:
        raise PlanError(problems)


def make_plan(
    text: str,
    view: Accounts,
    generate: Callable[[], str] = new_secret,
    keys: KeyRing | None = None,
    *,
    prune: bool = False,
    most_endpoints: int | None = None,
) -> Plan:
    """Compare a TOML file with the current settings; secrets to write are sealed with `keys`.

    `prune`: delete lists and endpoints of the file's accounts that the file does not name; accounts themselves stay.

    Raises PlanError with every problem, SecretMissing if a stored secret cannot be opened for comparison.
    """
    entries, problems = read_file(text)
    pruned = _unnamed(entries, view) if prune else ()
    return _plan(entries, problems, view, generate, keys or KeyRing(), pruned, most_endpoints)


def plan_endpoint(
    values: dict[str, Any],
    account: str,
    view: Accounts,
    generate: Callable[[], str] = new_secret,
    keys: KeyRing | None = None,
    *,
    most_endpoints: int | None = None,
) -> Plan:
    """Plan one endpoint of an account, given by its file keys. Raises the same errors."""
    entry, problems = read_endpoint(values, account)
    return _plan([entry], problems, view, generate, keys or KeyRing(), (), most_endpoints)


def plan_list(values: dict[str, Any], account: str, view: Accounts) -> Plan:
    """Plan one list of an account, in the same way."""
    entry, problems = read_list(values, account)
    return _plan([entry], problems, view, new_secret, KeyRing())


def _plan(
    entries: list[Entry],
    problems: list[str],
    view: Accounts,
    generate: Callable[[], str],
    keys: KeyRing,
    pruned: Sequence[Config] = (),
    most_endpoints: int | None = None,
) -> Plan:
    new_secrets: dict[str, str] = {}
    changes = []
    going = {(KINDS[type(config)], config_key(config)) for config in pruned}
    problems += _unknown_lists(entries, view, going)
    problems += _shared_addresses(entries, view, going)
    if most_endpoints is not None:
        problems += _too_many_endpoints(entries, view, going, most_endpoints)
    for entry in entries:
        key = config_key(entry.config)
        stored = view.stored(entry.config)
        config = entry.config
        if isinstance(config, EndpointConfig) and not config.secret:
            if isinstance(stored, EndpointConfig):
                config = replace(config, secret=stored.secret)
            else:
                new_secrets[key] = generate()
                config = replace(config, secret=new_secrets[key])
        config = _with_kept_secrets(Entry(entry.path, config), stored, problems, keys)
        config = with_secrets(_with_kept_state(config, stored), keys.seal)
        changes.append(_change(key, stored, config))
    if problems:
        raise PlanError(problems)
    named = {(change.kind, change.key) for change in changes}
    untouched = tuple(
        f"{KINDS[type(config)]} {config_key(config)}"
        for config in all_configs(view)
        if (KINDS[type(config)], config_key(config)) not in named | going
    )
    notes = (
        *file_notes(entries),
        *pause_notes(change.config for change in changes),
        *move_notes(entries, view, going),
        *deletion_notes(pruned),
    )
    deletions = tuple(Change(KINDS[type(config)], config_key(config), "delete", (), config) for config in pruned)
    return Plan(tuple(changes), new_secrets, deletions, untouched, notes)


def _unnamed(entries: list[Entry], view: Accounts) -> tuple[Config, ...]:
    """Return stored lists and endpoints of the file's accounts that the file does not name."""
    accounts = {entry.config.id for entry in entries if isinstance(entry.config, AccountConfig)}
    named = {(type(entry.config), config_key(entry.config)) for entry in entries}
    return tuple(
        config
        for config in all_configs(view)
        if not isinstance(config, AccountConfig)
        and config.account in accounts
        and (type(config), config_key(config)) not in named
    )


def _too_many_endpoints(
    entries: list[Entry], view: Accounts, going: Collection[tuple[str, str]], most: int
) -> Iterator[str]:
    """Report new endpoints of accounts that already have the maximum."""
    stay = Counter(each.account for each in view.endpoints.values() if ("endpoint", config_key(each)) not in going)
    for entry in entries:
        config = entry.config
        if isinstance(config, EndpointConfig) and view.stored(config) is None:
            stay[config.account] += 1
            if stay[config.account] > most:
                place = f"{entry.path}.id" if entry.path else "id"
                yield f"{place}: account {config.account} would have more than {most} endpoints (TRACKLY_MAX_ENDPOINTS)"


def _unknown_lists(entries: list[Entry], view: Accounts, going: Collection[tuple[str, str]] = ()) -> Iterator[str]:
    lists = [entry.config for entry in entries if isinstance(entry.config, ListConfig)]
    for entry in entries:
        if not isinstance(entry.config, EndpointConfig):
            continue
        account = entry.config.account
        stored = [each.number for each in view.lists_of(account).values() if ("list", config_key(each)) not in going]
        known = [each.number for each in lists if each.account == account] + stored
        named = {f"lists[{index}]": number for index, number in enumerate(entry.config.lists)}
        named |= {f"list_rate_limits.{number}": number for number in entry.config.list_rate_limits}
        for place, number in named.items():
            if number and number not in known:
                hint = f"; {nearest(number, known)}" if known else ""
                yield f'{entry.path}.{place}: "{number}" is not a list in account {account}{hint}'


def _shared_addresses(entries: list[Entry], view: Accounts, going: Collection[tuple[str, str]] = ()) -> Iterator[str]:
    """Report addresses that belong to two lists of an account: a reply to one would belong to neither."""
    given = {config_key(entry.config) for entry in entries} | {key for kind, key in going if kind == "list"}
    owners: dict[tuple[str, str], str] = {}
    for configs in view.lists.values():
        for stored in configs.values():
            if config_key(stored) not in given:
                owners |= {(stored.account, address_key(each)): stored.number for each in addresses_of(stored)}
    for entry in entries:
        config = entry.config
        if isinstance(config, ListConfig):
            for address in addresses_of(config):
                owner = owners.setdefault((config.account, address_key(address)), config.number)
                if address and owner != config.number:
                    yield f'{entry.path}: "{address}" already belongs to list {owner}'


def _with_kept_state(config: Config, stored: Config | None) -> Config:
    """Return a setting with the state that trackly itself maintains: an account's muted alerts; an endpoint's pause,
    which ends with a new URL, and its rotation, which ends with a new secret."""
    if isinstance(config, AccountConfig) and isinstance(stored, AccountConfig):
        return replace(config, **{name: getattr(stored, name) for name in KEPT_ACCOUNT_FIELDS})
    if not isinstance(config, EndpointConfig) or not isinstance(stored, EndpointConfig):
        return config
    kept = {name: getattr(stored, name) for name in KEPT_FIELDS}
    if config.secret != stored.secret:
        kept |= {"secret_next": None, "secret_next_at": None}
    if config.url != stored.url:
        kept |= {"paused_reason": None, "paused_at": None}
    return replace(config, **kept, enabled=config.enabled and kept["paused_reason"] is None)


def _with_kept_secrets(entry: Entry, stored: Config | None, problems: list[str], keys: KeyRing) -> Config:
    """Return the setting with stored secrets wherever the file says KEEP or has the same value."""

    def kept(path: str, value: str, current: str | None) -> str:
        if value != KEEP:
            if current is not None and is_literal(value) and keys.open(current) == value:
                return current
            return value
        if current is None:
            problems.append(
                f'{entry.path}.{path}: "{KEEP}" keeps the stored secret, but there is none; write the secret, '
                "env:NAME or file:PATH"
            )
            return ""
        return current

    def optionals(config: AccountConfig, known: AccountConfig) -> dict[str, Any]:
        given = {name: getattr(config, name) for name in _OPTIONAL_SECRETS}
        return {
            name: None if value is None else kept(PATHS.get(name, name), value, getattr(known, name))
            for name, value in given.items()
        }

    match entry.config:
        case EndpointConfig() as endpoint:
            current = stored if isinstance(stored, EndpointConfig) else None
            known_headers = current.headers if current else {}
            return replace(
                endpoint,
                secret=kept("secret", endpoint.secret, current.secret if current else None),
                headers={
                    name: kept(f"headers.{name}", value, known_headers.get(name))
                    for name, value in endpoint.headers.items()
                },
            )
        case AccountConfig() as account:
            known = stored if isinstance(stored, AccountConfig) else AccountConfig(id=account.id, name=account.name)
            return replace(
                account,
                providers={
                    provider: {
                        name: kept(f"providers.{provider}.{name}", value, known.providers.get(provider, {}).get(name))
                        for name, value in credentials.items()
                    }
                    for provider, credentials in account.providers.items()
                },
                postbacks={
                    name: kept(f"postbacks.{name}", value, known.postbacks.get(name))
                    for name, value in account.postbacks.items()
                },
                **optionals(account, known),
            )
        case ListConfig() as unchanged:
            return unchanged


def _change(key: str, stored: Config | None, config: Config) -> Change:
    kind = KINDS[type(config)]
    if stored is None:
        return Change(kind, key, "create", (), config)
    names = tuple(
        name
        for each in config.__struct_fields__
        for name in _differences(PATHS.get(each, each), getattr(stored, each), getattr(config, each))
    )
    return Change(kind, key, "update" if names else "unchanged", names, config)


def _differences(path: str, old: object, new: object) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            yield from _differences(f"{path}.{key}", old.get(key), new.get(key))
    else:
        yield f"{path} (removed)" if new is None or new == () else path
