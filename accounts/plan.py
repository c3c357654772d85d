"""Accounts as code: what a TOML file would change, and the file that says what is.

Pure: the caller reads the current settings, shows the plan, and writes `plan.configs`.
What is stored but not in the file stays as it is.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal

from accounts.file import KEEP, KEPT_FIELDS, Entry, nearest, read_file
from accounts.secrets import redacted
from accounts.store import Accounts, Config, config_key
from schemas.records import AccountConfig, EndpointConfig, ListConfig

KINDS: dict[type[Config], Literal["account", "list", "endpoint"]] = {
    AccountConfig: "account",
    ListConfig: "list",
    EndpointConfig: "endpoint",
}

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class PlanError(ValueError):
    """A file that cannot be applied. `problems` are all of them, one sentence each, without secrets."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Change:
    """What the file does to one setting. `fields` are those that an update changes, by dotted path."""

    kind: Literal["account", "list", "endpoint"]
    key: str
    action: Literal["create", "update", "unchanged"]
    fields: tuple[str, ...]
    config: Config = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file changes.

    `new_secrets`: generated secrets by endpoint key. `untouched`: stored settings that the file does not
    name. `notes`: sentences for the person who applies.
    """

    changes: tuple[Change, ...]
    new_secrets: Mapping[str, str] = field(repr=False)
    untouched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def configs(self) -> list[Config]:
        """The settings to write."""
        return [change.config for change in self.changes if change.action != "unchanged"]


def new_secret() -> str:
    """A signing secret as Standard Webhooks writes it: `whsec_` and the base64 of 24 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode("ascii")


def make_plan(text: str, view: Accounts, generate: Callable[[], str] = new_secret) -> Plan:
    """Compare a TOML file with the settings as they are. Raises PlanError that names every problem."""
    entries, problems = read_file(text)
    new_secrets: dict[str, str] = {}
    changes = []
    problems += _unknown_lists(entries, view)
    for entry in entries:
        key = config_key(entry.config)
        stored = _stored(view, entry.config)
        config = entry.config
        if isinstance(config, EndpointConfig) and not config.secret:
            if isinstance(stored, EndpointConfig):
                config = replace(config, secret=stored.secret)
            else:
                new_secrets[key] = generate()
                config = replace(config, secret=new_secrets[key])
        config = _with_kept_secrets(Entry(entry.path, config), stored, problems)
        if isinstance(config, EndpointConfig) and isinstance(stored, EndpointConfig):
            config = _with_kept_pause(config, stored)
        changes.append(_change(key, stored, config))
    if problems:
        raise PlanError(problems)
    named = {(change.kind, change.key) for change in changes}
    untouched = tuple(
        f"{KINDS[type(config)]} {config_key(config)}"
        for config in _all(view)
        if (KINDS[type(config)], config_key(config)) not in named
    )
    notes = (*_notes(entries), *_pause_notes(change.config for change in changes))
    return Plan(tuple(changes), new_secrets, untouched, notes)


def export(view: Accounts) -> str:
    """The TOML file that says what is. References to secrets stay; secrets are `***`, which keeps them."""
    blocks = [_account_toml(view, view.accounts[account]) for account in sorted(view.accounts)]
    return "\n".join(line for block in blocks for line in block)


def _stored(view: Accounts, config: Config) -> Config | None:
    match config:
        case AccountConfig():
            return view.accounts.get(config.id)
        case ListConfig():
            return view.lists_of(config.account).get(config.number)
        case EndpointConfig():
            return view.endpoints.get(config_key(config))


def _all(view: Accounts) -> Iterator[Config]:
    yield from view.accounts.values()
    for lists in view.lists.values():
        yield from lists.values()
    yield from view.endpoints.values()


def _unknown_lists(entries: list[Entry], view: Accounts) -> Iterator[str]:
    lists = [entry.config for entry in entries if isinstance(entry.config, ListConfig)]
    for entry in entries:
        if not isinstance(entry.config, EndpointConfig):
            continue
        account = entry.config.account
        known = [each.number for each in lists if each.account == account] + list(view.lists_of(account))
        for index, number in enumerate(entry.config.lists):
            if number and number not in known:
                hint = f"; {nearest(number, known)}" if known else ""
                yield f'{entry.path}.lists[{index}]: "{number}" is no list of account {account}{hint}'


def _with_kept_secrets(entry: Entry, stored: Config | None, problems: list[str]) -> Config:
    """The setting with what is stored wherever the file says KEEP."""

    def kept(path: str, value: str, current: str | None) -> str:
        if value != KEEP:
            return value
        if current is None:
            problems.append(
                f'{entry.path}.{path}: "{KEEP}" keeps the secret that is stored, but none is;'
                " write the secret, env:NAME or file:PATH"
            )
            return ""
        return current

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
            url = account.discord_webhook_url
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
                discord_webhook_url=None
                if url is None
                else kept("discord_webhook_url", url, known.discord_webhook_url),
                callback_secret=None
                if account.callback_secret is None
                else kept("callback_secret", account.callback_secret, known.callback_secret),
            )
        case ListConfig() as unchanged:
            return unchanged


def _with_kept_pause(config: EndpointConfig, stored: EndpointConfig) -> EndpointConfig:
    """The endpoint with what trackly itself has written. A pause ends with a new URL: it was for the old one."""
    kept = {name: getattr(stored, name) for name in KEPT_FIELDS}
    if stored.paused_reason is None:
        return replace(config, **kept)
    if config.url != stored.url:
        return replace(config, **(kept | {"paused_reason": None, "paused_at": None}))
    return replace(config, **kept, enabled=False)


def _pause_notes(configs: Iterable[Config]) -> Iterator[str]:
    for config in configs:
        if isinstance(config, EndpointConfig) and config.paused_reason is not None:
            key = config_key(config)
            yield f"endpoint {key} stays paused ({config.paused_reason}); trackly endpoints resume {key} ends that"


def _change(key: str, stored: Config | None, config: Config) -> Change:
    kind = KINDS[type(config)]
    if stored is None:
        return Change(kind, key, "create", (), config)
    names = tuple(
        name
        for each in fields(config)
        for name in _differences(each.name, getattr(stored, each.name), getattr(config, each.name))
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


def _notes(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry.config, EndpointConfig) and entry.config.url.startswith("http:"):
            yield f"{entry.path}.url: http is not encrypted; sinks send there only with the account's allow_http"


def _account_toml(view: Accounts, account: AccountConfig) -> Iterator[str]:
    yield "[[accounts]]"
    yield f"id = {_quoted(account.id)}"
    yield f"name = {_quoted(account.name)}"
    if account.discord_webhook_url is not None:
        yield _secret_line("discord_webhook_url", account.discord_webhook_url)
    if account.callback_secret is not None:
        yield _secret_line("callback_secret", account.callback_secret)
    if account.allow_http:
        yield "allow_http = true"
    if account.trusted_cidrs:
        yield f"trusted_cidrs = {_array(account.trusted_cidrs)}"
    for provider, credentials in account.providers.items():
        yield f"[accounts.providers.{_key(provider)}]"
        yield from (_secret_line(name, value) for name, value in credentials.items())
    if account.postbacks:
        yield "[accounts.postbacks]"
        yield from (_secret_line(name, value) for name, value in account.postbacks.items())
    for number in sorted(view.lists_of(account.id)):
        yield from _list_toml(view.lists_of(account.id)[number])
    for endpoint in sorted(view.endpoints_of(account.id), key=config_key):
        yield from _endpoint_toml(endpoint)
    yield ""


def _list_toml(config: ListConfig) -> Iterator[str]:
    yield "[[accounts.lists]]"
    yield f"number = {_quoted(config.number)}"
    yield f"retry_threshold = {config.retry_threshold}"
    if config.provider_list_ids:
        pairs = ", ".join(f"{_key(name)} = {_quoted(value)}" for name, value in config.provider_list_ids.items())
        yield f"provider_list_ids = {{ {pairs} }}"
    for name in ("dlr_forward_url", "reply_forward_url"):
        url = getattr(config, name)
        if url is not None:
            yield f"{name} = {_quoted(url)}"


def _endpoint_toml(config: EndpointConfig) -> Iterator[str]:
    yield "[[accounts.endpoints]]"
    yield f"id = {_quoted(config.id)}"
    yield f"url = {_quoted(config.url)}"
    yield _secret_line("secret", config.secret)
    yield f"events = {_array(config.events)}"
    if config.lists:
        yield f"lists = {_array(config.lists)}"
    if not config.enabled and config.paused_reason is None:
        yield "enabled = false"
    if config.description:
        yield f"description = {_quoted(config.description)}"
    if config.retry_schedule:
        yield f"retry_schedule = {_array(config.retry_schedule)}"
    if config.rate_limit is not None:
        yield f"rate_limit = {config.rate_limit!r}"
    if config.format != "json":
        yield f"format = {_quoted(config.format)}"
    if config.batch_events != 1:
        yield f"batch_events = {config.batch_events}"
    if config.headers:
        yield "[accounts.endpoints.headers]"
        yield from (_secret_line(name, value) for name, value in config.headers.items())


def _secret_line(name: str, value: str) -> str:
    shown = redacted(value)
    comment = f"  # {KEEP} keeps the secret that is stored" if shown == KEEP else ""
    return f"{_key(name)} = {_quoted(shown)}{comment}"


def _array(values: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _quoted(name)


def _quoted(value: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped too.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
