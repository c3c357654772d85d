"""Accounts as code: the current settings as a TOML file. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from accounts.alerts import Severity
from accounts.brakes import OFF
from accounts.checks import KEEP
from accounts.model import Accounts, config_key
from accounts.secrets import KeyRing, SecretMissing, redacted
from accounts.sending_hours import written as written_sending_hours
from operations.as_code.file import PATHS
from providers import PROVIDERS
from schemas.cloudevents import iso_time
from schemas.records import AccountConfig, EndpointConfig, ListConfig

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def export(view: Accounts, keys: KeyRing | None = None) -> str:
    """Export the current settings as a TOML file. References to secrets are kept; secrets become `***`, which means
    keep. Credentials that are no secrets, such as user names, are opened with `keys`, if these fit."""
    keys = keys or KeyRing()
    blocks = [_account_toml(view, view.accounts[account], keys) for account in sorted(view.accounts)]
    return "\n".join(line for block in blocks for line in block)


def _account_toml(view: Accounts, account: AccountConfig, keys: KeyRing) -> Iterator[str]:
    yield "[[accounts]]"
    yield f"id = {_quoted(account.id)}"
    yield f"name = {_quoted(account.name)}"
    if account.discord_webhook_url is not None:
        yield _secret_line("discord_webhook_url", account.discord_webhook_url)
    if account.allow_http:
        yield "allow_http = true"
    if account.trusted_cidrs:
        yield f"trusted_cidrs = {_array(account.trusted_cidrs)}"
    if account.callback_rate_limit is not None:
        yield f"callback_rate_limit = {account.callback_rate_limit}"
    if account.registers_messages:
        yield "registers_messages = true"
    if account.opt_out_scope != "list":
        yield f"opt_out_scope = {_quoted(account.opt_out_scope)}"
    if account.opt_out_scope_from is not None:
        yield f"opt_out_scope_from = {iso_time(account.opt_out_scope_from)}"
    yield from _brake_toml(account)
    for provider, credentials in account.providers.items():
        yield f"[accounts.providers.{_key(provider)}]"
        yield from (_credential_line(provider, name, value, keys) for name, value in credentials.items())
    if account.postbacks or account.trusted_postback_cidrs:
        yield "[accounts.postbacks]"
        yield from (_secret_line(name, value) for name, value in account.postbacks.items())
    if account.trusted_postback_cidrs:
        yield f"trusted_cidrs = {_array(account.trusted_postback_cidrs)}"
    if account.opt_out_words or account.opt_out_off:
        yield "[accounts.opt_out]"
        if account.opt_out_off:
            yield f"off = {_array(account.opt_out_off)}"
        yield from (f"{_key(layer)} = {_array(words)}" for layer, words in account.opt_out_words.items())
    if account.code_classes:
        yield "[accounts.codes]"
        yield from (f"{_key(code)} = {_quoted(name)}" for code, name in account.code_classes.items())
    sending_hours = written_sending_hours(account)
    if sending_hours:
        yield "[accounts.sending_hours]"
        yield from (f"{name} = {_value(value)}" for name, value in sending_hours.items())
    if account.callback_secret is not None:
        yield "[accounts.callbacks]"
        yield _secret_line("secret", account.callback_secret)
    yield from _alerts_toml(account)
    for number in sorted(view.lists_of(account.id)):
        yield from _list_toml(view.lists_of(account.id)[number])
    for endpoint in sorted(view.endpoints_of(account.id), key=config_key):
        yield from _endpoint_toml(endpoint)
    yield ""


def _alerts_toml(account: AccountConfig) -> Iterator[str]:
    lines = [f"{_key(name)} = {str(on).lower()}" for name, on in account.alerts_on.items()]
    if account.alerts_minimum_severity != str(Severity.LOW):
        lines.append(f"minimum_severity = {_quoted(account.alerts_minimum_severity)}")
    for name in ("slack_webhook_url", "alert_webhook_url", "alert_webhook_secret"):
        secret = getattr(account, name)
        if secret is not None:
            lines.append(_secret_line(PATHS[name].removeprefix("alerts."), secret))
    if lines:
        yield "[accounts.alerts]"
        yield from lines


def _brake_toml(config: AccountConfig | ListConfig) -> Iterator[str]:
    said = {"share": config.brake_share, "minimum": config.brake_minimum}
    if said == {"share": OFF, "minimum": None}:
        yield 'brake = "off"'
    elif pairs := ", ".join(f"{name} = {value!r}" for name, value in said.items() if value is not None):
        yield f"brake = {{ {pairs} }}"


def _list_toml(config: ListConfig) -> Iterator[str]:
    yield "[[accounts.lists]]"
    yield f"number = {_quoted(config.number)}"
    yield f"retry_threshold = {config.retry_threshold}"
    if config.provider_list_ids:
        pairs = ", ".join(f"{_key(name)} = {_quoted(value)}" for name, value in config.provider_list_ids.items())
        yield f"provider_list_ids = {{ {pairs} }}"
    for name in ("numbers", "senders"):
        if getattr(config, name):
            yield f"{name} = {_array(getattr(config, name))}"
    for name in ("dlr_forward_url", "reply_forward_url"):
        url = getattr(config, name)
        if url is not None:
            yield f"{name} = {_quoted(url)}"
    yield from _brake_toml(config)


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
    if config.list_rate_limits:
        pairs = ", ".join(f"{_key(number)} = {limit!r}" for number, limit in config.list_rate_limits.items())
        yield f"list_rate_limits = {{ {pairs} }}"
    if config.notify:
        yield f"notify = {_array(config.notify)}"
    if config.headers:
        yield "[accounts.endpoints.headers]"
        yield from (_secret_line(name, value) for name, value in config.headers.items())


def _credential_line(provider: str, name: str, value: str, keys: KeyRing) -> str:
    known = PROVIDERS.get(provider)
    if known is not None and name in known.credentials and name not in known.secrets:
        with suppress(SecretMissing):
            return f"{_key(name)} = {_quoted(keys.open(value))}"
    return _secret_line(name, value)


def _secret_line(name: str, value: str) -> str:
    shown = redacted(value)
    comment = f"  # {KEEP} keeps the stored secret" if shown == KEEP else ""
    return f"{_key(name)} = {_quoted(shown)}{comment}"


def _value(value: tuple[str, ...] | str | int) -> str:
    match value:
        case tuple():
            return _array(value)
        case str():
            return _quoted(value)
        case _:
            return str(value).lower()


def _array(values: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _quoted(name)


def _quoted(value: str) -> str:
    # JSON's escapes are valid in TOML, except that TOML requires DEL to be escaped too.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
