"""Accounts as code: parses a TOML file into settings, and reports each mistake with its position in the file.

Pure: text in, settings and problems out. No message contains a secret.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from accounts.alerts import TYPES, Severity
from accounts.brakes import MOST_MINIMUM, OFF
from accounts.checks import (
    EVENTS,
    MAX_OPT_OUT_WORDS,
    MOST_EMAILS,
    OPT_OUT_WORDS,
    check_brake,
    check_class,
    check_credential,
    check_duration,
    check_email,
    check_endpoint_secret,
    check_event,
    check_format,
    check_header_name,
    check_header_value,
    check_id,
    check_layer,
    check_look_alike,
    check_network,
    check_number,
    check_opt_out_word,
    check_scope,
    check_secret_url,
    check_sender,
    check_severity,
    check_signing_secret,
    check_there,
)
from accounts.model import Config
from accounts.sending_hours import FIELDS as SENDING_HOURS
from accounts.sending_hours import read as read_sending_hours
from accounts.toml_table import Table, quoted
from accounts.urls import check_target, check_web_address
from operations.codes import check_code
from providers import PROVIDERS
from schemas.records import AccountConfig, EndpointConfig, ListConfig

DEFAULT_EVENTS = ("delivery", "unsubscribe", "reply")

CREDENTIALS: dict[str, tuple[str, ...]] = {
    provider.name: tuple(
        name
        for credential in provider.credentials
        for name in (credential, *([f"{credential}_previous"] if credential in provider.secrets else []))
    )
    for provider in PROVIDERS.values()
}
"""Credentials by provider name; during rotation, a secret has a second value."""

MOST_IN_A_BATCH = 100
"""Maximum events in one request."""

KEPT_FIELDS = ("secret_next", "secret_next_at", "paused_reason", "paused_at")
"""Endpoint fields that trackly itself writes. A file cannot set them, and applying one keeps them."""

KEPT_ACCOUNT_FIELDS = ("alerts_muted_until",)
"""Account fields that trackly itself writes."""

PATHS = {
    "trusted_postback_cidrs": "postbacks.trusted_cidrs",
    "callback_secret": "callbacks.secret",
    "alerts_on": "alerts",
    "alerts_minimum_severity": "alerts.minimum_severity",
    "slack_webhook_url": "alerts.slack_webhook_url",
    "alert_webhook_url": "alerts.webhook_url",
    "alert_webhook_secret": "alerts.webhook_secret",
    "code_classes": "codes",
    **{field: f"sending_hours.{name}" for name, field in SENDING_HOURS.items()},
    "brake_share": "brake.share",
    "brake_minimum": "brake.minimum",
}
"""Fields whose path in the file differs from their name in the record."""

_ROOT_KEYS = ("accounts",)
POSTBACK_SECRETS = ("token", "token_previous")
_POSTBACK_CIDRS = "trusted_cidrs"
_IN_TABLES = (
    *("trusted_postback_cidrs", "opt_out_words", "opt_out_off", "callback_secret"),
    *("alerts_on", "alerts_minimum_severity", "slack_webhook_url", "alert_webhook_url", "alert_webhook_secret"),
    *("code_classes", *SENDING_HOURS.values()),
)
_BRAKE_FIELDS = ("brake_share", "brake_minimum")
_BRAKE_KEYS = tuple(name.removeprefix("brake_") for name in _BRAKE_FIELDS)
_ACCOUNT_KEYS = (
    *(
        name
        for name in AccountConfig.__struct_fields__
        if name not in (*_IN_TABLES, *_BRAKE_FIELDS, *KEPT_ACCOUNT_FIELDS)
    ),
    *("callbacks", "opt_out", "codes", "sending_hours", "alerts", "brake", "lists", "endpoints"),
)
_ALERT_KEYS = (*TYPES, "minimum_severity", "slack_webhook_url", "webhook_url", "webhook_secret")
_LIST_KEYS = (*(name for name in ListConfig.__struct_fields__ if name not in ("account", *_BRAKE_FIELDS)), "brake")
_ENDPOINT_KEYS = tuple(name for name in EndpointConfig.__struct_fields__ if name not in ("account", *KEPT_FIELDS))


@dataclass(frozen=True, slots=True)
class Entry:
    """A setting and its position in the file.

    Secrets are as in the file: KEEP is not replaced, and an endpoint without a secret has an empty one.
    """

    path: str
    config: Config = field(repr=False)


def read_file(text: str) -> tuple[list[Entry], list[str]]:
    """Return the settings in file order, and all problems. If there are problems, use no setting."""
    problems: list[str] = []
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [], [f"the file is not valid TOML: {error}"]
    entries: list[Entry] = []
    root = Table(content, "", _ROOT_KEYS, problems)
    if not problems and not content.get("accounts"):
        problems.append("accounts: is missing; start with [[accounts]]")
    for table in root.tables("accounts", _ACCOUNT_KEYS):
        entries += read_account(table)
    _report_twins(entries, problems)
    return entries, problems


def read_endpoint(values: dict[str, Any], account: str) -> tuple[Entry, list[str]]:
    """Parse one endpoint, given by its file keys; returns all problems by field name."""
    problems: list[str] = []
    return _endpoint(Table(values, "", _ENDPOINT_KEYS, problems), account), problems


def read_list(values: dict[str, Any], account: str) -> tuple[Entry, list[str]]:
    """Parse one list, in the same way."""
    problems: list[str] = []
    return _list(Table(values, "", _LIST_KEYS, problems), account), problems


def read_account(table: Table) -> list[Entry]:
    """Parse an account's settings, with its lists and endpoints."""
    account = table.required("id", check_id)
    credentials = {
        provider: _credentials(given)
        for provider, given in table.tables_by_name("providers", CREDENTIALS, "provider").items()
    }
    postbacks = table.table("postbacks", (*POSTBACK_SECRETS, _POSTBACK_CIDRS))
    callbacks = table.table("callbacks", ("secret",))
    alerts = table.table("alerts", _ALERT_KEYS) or Table({}, "", (), [])
    words, off = _opt_outs(table)
    config = AccountConfig(
        id=account,
        name=table.text("name") or account,
        providers=credentials,
        trusted_cidrs=table.texts("trusted_cidrs", check_network),
        postbacks=_postback_secrets(postbacks) if postbacks else {},
        trusted_postback_cidrs=postbacks.texts(_POSTBACK_CIDRS, check_network) if postbacks else (),
        callback_rate_limit=table.number("callback_rate_limit", 0.1, 100_000),
        discord_webhook_url=table.text("discord_webhook_url", check_secret_url),
        registers_messages=table.flag("registers_messages", False),
        callback_secret=callbacks.text("secret", check_signing_secret) if callbacks else None,
        allow_http=table.flag("allow_http", False),
        opt_out_words=words,
        opt_out_off=off,
        opt_out_scope=table.text("opt_out_scope", check_scope) or "list",
        opt_out_scope_from=table.moment("opt_out_scope_from"),
        alerts_on={name: alerts.flag(name, kind.on) for name, kind in TYPES.items() if name in alerts.values},
        alerts_minimum_severity=alerts.text("minimum_severity", check_severity) or str(Severity.LOW),
        slack_webhook_url=alerts.text("slack_webhook_url", check_secret_url),
        alert_webhook_url=alerts.text("webhook_url", check_secret_url),
        alert_webhook_secret=alerts.text("webhook_secret", check_signing_secret),
        code_classes=_code_classes(table),
        **read_sending_hours(table),
        **_brake(table),
    )
    return [
        Entry(table.path, config),
        *(_list(each, account) for each in table.tables("lists", _LIST_KEYS)),
        *(_endpoint(each, account) for each in table.tables("endpoints", _ENDPOINT_KEYS)),
    ]


def _postback_secrets(table: Table) -> dict[str, str]:
    texts = ((name, table.text(name, partial(check_credential, name))) for name in POSTBACK_SECRETS)
    secrets = {name: value for name, value in texts if value is not None}
    if "token_previous" in secrets and "token" not in secrets:
        table.problem("token_previous", "is set, but token is not; write token")
    return secrets


def _opt_outs(account: Table) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Parse an account's own opt-out words by layer, and its disabled layers."""
    table = account.table("opt_out", ("off", *OPT_OUT_WORDS))
    if table is None:
        return {}, ()
    words = {}
    for layer in OPT_OUT_WORDS:
        if layer in table.values:
            words[layer] = table.texts(layer, check_look_alike if layer == "obfuscations" else check_opt_out_word)
            if len(words[layer]) > MAX_OPT_OUT_WORDS:
                table.problem(layer, f"has {len(words[layer])} words; the maximum is {MAX_OPT_OUT_WORDS}")
    return words, table.texts("off", check_layer)


def _code_classes(account: Table) -> dict[str, str]:
    """Parse the effects of failures on a contact, by provider and code."""
    table = account.table("codes", ())
    if table is None:
        return {}
    for code in table.values:
        account.check_name("codes", code, check_code)
    return table.texts_by_name(check_class)


def _list(table: Table, account: str) -> Entry:
    ids = table.table("provider_list_ids", PROVIDERS, "provider")
    config = ListConfig(
        account=account,
        number=table.required("number", check_number),
        retry_threshold=table.whole("retry_threshold", 3, 1, 100),
        provider_list_ids=ids.texts_by_name(check_there) if ids else {},
        dlr_forward_url=table.text("dlr_forward_url", check_web_address),
        reply_forward_url=table.text("reply_forward_url", check_web_address),
        numbers=table.texts("numbers", check_number),
        senders=table.texts("senders", check_sender),
        **_brake(table),
    )
    return Entry(table.path, config)


def _brake(owner: Table) -> dict[str, Any]:
    """Parse a brake: a share and a minimum, or `off`, which is a share of one."""
    if isinstance(owner.values.get("brake"), str):
        owner.text("brake", check_brake)
        return {"brake_share": OFF}
    table = owner.table("brake", _BRAKE_KEYS)
    if table is None:
        return {}
    share = table.number("share", 0, OFF)
    minimum = table.whole("minimum", 0, 0, MOST_MINIMUM) if "minimum" in table.values else None
    return {"brake_share": share, "brake_minimum": minimum}


def _endpoint(table: Table, account: str) -> Entry:
    headers = table.table("headers", ())
    limits = table.table("list_rate_limits", ())
    config = EndpointConfig(
        account=account,
        id=table.required("id", check_id),
        url=table.required("url", check_target),
        secret=table.text("secret", check_endpoint_secret) or "",
        events=table.texts("events", check_event) if "events" in table.values else DEFAULT_EVENTS,
        # Whether the account has these lists is checked by the plan, which also knows the stored ones.
        lists=table.texts("lists", check_there),
        enabled=table.flag("enabled", True),
        description=table.text("description") or "",
        retry_schedule=table.texts("retry_schedule", check_duration),
        rate_limit=table.number("rate_limit", 0.01, 100_000),
        headers=headers.texts_by_name(check_header_value) if headers else {},
        format=table.text("format", check_format) or "json",
        batch_events=table.whole("batch_events", 1, 1, MOST_IN_A_BATCH),
        notify=table.texts("notify", check_email),
        list_rate_limits=limits.numbers_by_name(0.01, 100_000) if limits else {},
    )
    if len(config.notify) > MOST_EMAILS:
        table.problem("notify", f"has {len(config.notify)} addresses; the maximum is {MOST_EMAILS}")
    if not config.events:
        table.problem("events", f"is empty; choose from {', '.join(EVENTS)}, or leave it out")
    for number in config.list_rate_limits:
        if config.lists and number not in config.lists:
            table.problem(f"list_rate_limits.{number}", "is not one of this endpoint's lists")
    for name in config.headers:
        table.check_name("headers", name, check_header_name)
    return Entry(table.path, config)


def _credentials(table: Table) -> dict[str, str]:
    texts = ((name, table.text(name, partial(check_credential, name))) for name in table.values)
    return {name: text for name, text in texts if text is not None}


def _report_twins(entries: Iterable[Entry], problems: list[str]) -> None:
    first: dict[tuple[type, str, str], str] = {}
    for entry in entries:
        match entry.config:
            case AccountConfig(id=name):
                owner, key = "", "id"
            case ListConfig(account=owner, number=name):
                key = "number"
            case EndpointConfig(account=owner, id=name):
                key = "id"
        place = first.setdefault((type(entry.config), owner, name), entry.path)
        if name and place != entry.path:
            problems.append(f"{entry.path}.{key}: {quoted(name)} is already at {place}")
