"""Accounts as code: a TOML file read into settings, every mistake named by its place in the file.

Pure: text in, settings and problems out. No message holds a secret.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, TypeVar

from accounts.secrets import SEALED
from accounts.store import Config
from accounts.urls import check_web_address
from schemas.records import AccountConfig, EndpointConfig, ListConfig
from schemas.topics import parse_duration

KEEP = "***"
"""In place of a secret: keep the one that is stored."""

EVENTS = (
    "delivery", "unsubscribe", "reply", "sent", "click", "conversion",
    "endpoint.paused", "endpoint.recovered", "endpoint.expiring",
)  # fmt: skip
DEFAULT_EVENTS = ("delivery", "unsubscribe", "reply")

PROVIDERS: dict[str, tuple[str, ...]] = {
    "infobip": (
        *("username", "password", "password_previous", "header_name", "header_value", "header_value_previous"),
        *("secret", "secret_previous"),
    ),
    "twilio": ("auth_token", "auth_token_previous"),
    "cm": ("secret", "secret_previous"),
    "lime": (),
    "eztexting": ("secret", "secret_previous"),
}
"""Credentials by provider name; a secret has a second one while it is changed. Where none are listed, any name is
taken."""

OPT_OUT_LAYERS = ("keywords", "misspellings", "phrases", "obfuscations", "complaints")
"""Layers of opt-outs, each of which can be switched off and extended."""

OPT_OUT_WORDS = (*OPT_OUT_LAYERS, "never")
"""What an account can add words to."""

MAX_OPT_OUT_WORDS = 500
MAX_OPT_OUT_WORD = 100
"""Words that an account may add to one layer, and characters that one may have."""

KEPT_FIELDS = ("secret_next", "secret_next_at", "paused_reason", "paused_at")
"""Fields of an endpoint that trackly itself writes. A file cannot set them, and applying one keeps them."""


FORMATS = ("json", "cloudevents")
MOST_IN_A_BATCH = 100

RESERVED_HEADERS = frozenset(
    {
        "accept-encoding", "connection", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "trailers", "transfer-encoding", "upgrade", "user-agent",
    }
)  # fmt: skip
"""Headers of the connection (RFC 9110 section 7.6.1) and those that trackly sets: an endpoint cannot have its own."""

RESERVED_PREFIXES = ("content-", "webhook-", "x-trackly-")

_ROOT_KEYS = ("accounts",)
_POSTBACK_SECRETS = ("token", "token_previous")
_POSTBACK_CIDRS = "trusted_cidrs"
_IN_TABLES = ("trusted_postback_cidrs", "opt_out_words", "opt_out_off", "callback_secret")
_ACCOUNT_KEYS = (
    *(f.name for f in fields(AccountConfig) if f.name not in _IN_TABLES),
    *("callbacks", "opt_out", "lists", "endpoints"),
)
_LIST_KEYS = tuple(f.name for f in fields(ListConfig) if f.name != "account")
_ENDPOINT_KEYS = tuple(f.name for f in fields(EndpointConfig) if f.name not in ("account", *KEPT_FIELDS))

_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,6}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110 section 5.6.2
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# In this order: a TOML boolean is an `int` in Python too.
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (str, "a text"),
    (int, "a whole number"),
    (float, "a number"),
    (list, "an array"),
    (dict, "a table"),
)

Check = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting and its place in the file.

    Secrets stand as the file has them: KEEP is not replaced, an endpoint without a secret has an empty one.
    """

    path: str
    config: Config = field(repr=False)


def read_file(text: str) -> tuple[list[Entry], list[str]]:
    """Settings in the order of the file, and every problem. Where there is one, none is to be used."""
    problems: list[str] = []
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [], [f"the file is no TOML: {error}"]
    entries: list[Entry] = []
    root = _Table(content, "", _ROOT_KEYS, problems)
    if not problems and not content.get("accounts"):
        problems.append("accounts: is missing; begin with [[accounts]]")
    for table in root.tables("accounts", _ACCOUNT_KEYS):
        entries += _account(table)
    _report_twins(entries, problems)
    return entries, problems


def _account(table: _Table) -> list[Entry]:
    account = table.required("id", _is_id)
    credentials = {
        provider: given.texts_by_name(_is_secret)
        for provider, given in table.tables_by_name("providers", PROVIDERS, "provider").items()
    }
    postbacks = table.table("postbacks", (*_POSTBACK_SECRETS, _POSTBACK_CIDRS))
    callbacks = table.table("callbacks", ("secret",))
    words, off = _opt_outs(table)
    config = AccountConfig(
        id=account,
        name=table.text("name") or account,
        providers=credentials,
        trusted_cidrs=table.texts("trusted_cidrs", _is_network),
        postbacks=_postback_secrets(postbacks) if postbacks else {},
        trusted_postback_cidrs=postbacks.texts(_POSTBACK_CIDRS, _is_network) if postbacks else (),
        callback_rate_limit=table.number("callback_rate_limit", 0.1, 100_000),
        discord_webhook_url=table.text("discord_webhook_url", _is_secret_url),
        registers_messages=table.flag("registers_messages", False),
        callback_secret=callbacks.text("secret", _is_signing_secret) if callbacks else None,
        allow_http=table.flag("allow_http", False),
        opt_out_words=words,
        opt_out_off=off,
    )
    return [
        Entry(table.path, config),
        *(_list(each, account) for each in table.tables("lists", _LIST_KEYS)),
        *(_endpoint(each, account) for each in table.tables("endpoints", _ENDPOINT_KEYS)),
    ]


def _postback_secrets(table: _Table) -> dict[str, str]:
    secrets = {name: value for name in _POSTBACK_SECRETS if (value := table.text(name, _is_secret)) is not None}
    if "token_previous" in secrets and "token" not in secrets:
        table.problem("token_previous", "is there without a token that follows it; write token")
    return secrets


def _opt_outs(account: _Table) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """An account's own words for opt-outs by layer, and the layers that are off."""
    table = account.table("opt_out", ("off", *OPT_OUT_WORDS))
    if table is None:
        return {}, ()
    words = {}
    for layer in OPT_OUT_WORDS:
        if layer in table.values:
            words[layer] = table.texts(layer, _is_look_alike if layer == "obfuscations" else _is_opt_out_word)
            if len(words[layer]) > MAX_OPT_OUT_WORDS:
                table.problem(layer, f"holds {len(words[layer])} words; {MAX_OPT_OUT_WORDS} are the most")
    return words, table.texts("off", _is_layer)


def _list(table: _Table, account: str) -> Entry:
    ids = table.table("provider_list_ids", PROVIDERS, "provider")
    config = ListConfig(
        account=account,
        number=table.required("number", _is_number),
        retry_threshold=table.whole("retry_threshold", 3, 1, 100),
        provider_list_ids=ids.texts_by_name(_is_there) if ids else {},
        dlr_forward_url=table.text("dlr_forward_url", check_web_address),
        reply_forward_url=table.text("reply_forward_url", check_web_address),
    )
    return Entry(table.path, config)


def _endpoint(table: _Table, account: str) -> Entry:
    headers = table.table("headers", ())
    config = EndpointConfig(
        account=account,
        id=table.required("id", _is_id),
        url=table.required("url", check_web_address),
        secret=table.text("secret", check_endpoint_secret) or "",
        events=table.texts("events", _is_event) if "events" in table.values else DEFAULT_EVENTS,
        # That the account has these lists is checked against what is stored too, by the plan.
        lists=table.texts("lists", _is_there),
        enabled=table.flag("enabled", True),
        description=table.text("description") or "",
        retry_schedule=table.texts("retry_schedule", _is_duration),
        rate_limit=table.number("rate_limit", 0.01, 100_000),
        headers=headers.texts_by_name(_is_header_value) if headers else {},
        format=table.text("format", _is_format) or "json",
        batch_events=table.whole("batch_events", 1, 1, MOST_IN_A_BATCH),
    )
    if not config.events:
        table.problem("events", f"names no event; choose from {', '.join(EVENTS)}, or leave it out")
    for name in config.headers:
        table.check_name("headers", name, _is_header_name)
    return Entry(table.path, config)


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
            problems.append(f"{entry.path}.{key}: {_quoted(name)} is already at {place}")


class _Table:
    """A TOML table with its place. Takes values by type; what is wrong goes to `problems`."""

    def __init__(
        self,
        values: dict[str, Any],
        path: str,
        known: Iterable[str],
        problems: list[str],
        what: str = "setting",
    ) -> None:
        self.values = values
        self.path = path
        self._problems = problems
        names = tuple(known)
        for key in values:
            if names and key not in names:
                self.problem(key, f"is no {what}; {nearest(key, names)}")

    def problem(self, key: str, message: str) -> None:
        self._problems.append(f"{self._at(key)}: {message}")

    def required(self, key: str, check: Check) -> str:
        if key not in self.values:
            self.problem(key, "is missing")
        return self.text(key, check) or ""

    def text(self, key: str, check: Check | None = None) -> str | None:
        value = self._typed(key, str, None)
        if value is not None and check is not None:
            self._check(key, value, check)
        return value

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        value = self._typed(key, int, default)
        if value is not None and not least <= value <= most:
            self.problem(key, f"{value} is not between {least} and {most}")
        return default if value is None else value

    def number(self, key: str, least: float, most: float) -> float | None:
        """A number with or without a fraction."""
        kind = int if isinstance(self.values.get(key), int) else float
        value = self._typed(key, kind, None, "a number")
        if value is None or least <= value <= most:
            return None if value is None else float(value)
        self.problem(key, f"{value} is not between {least} and {most}")
        return None

    def flag(self, key: str, default: bool) -> bool:
        value = self._typed(key, bool, default)
        return default if value is None else value

    def texts(self, key: str, check: Check) -> tuple[str, ...]:
        """An array of texts at their positions; what is no text is empty."""
        items = self._typed(key, list, []) or []
        for index, item in enumerate(items):
            place = f"{key}[{index}]"
            if not isinstance(item, str):
                self.problem(place, f"is {_type_name(item)}, expected a text")
            elif item in items[:index]:
                self.problem(place, f"{_quoted(item)} is there already")
            else:
                self._check(place, item, check)
        return tuple(item if isinstance(item, str) else "" for item in items)

    def texts_by_name(self, check: Check) -> dict[str, str]:
        """All values of this table, which must be texts."""
        return {key: value for key in self.values if (value := self.text(key, check)) is not None}

    def table(self, key: str, known: Iterable[str], what: str = "setting") -> _Table | None:
        values = self._typed(key, dict, None)
        return None if values is None else _Table(values, self._at(key), known, self._problems, what)

    def tables(self, key: str, known: Iterable[str]) -> list[_Table]:
        """An array of tables."""
        items = self._typed(key, list, [], f"an array of tables: write [[{_pattern(self._at(key))}]]") or []
        tables = []
        for index, item in enumerate(items):
            if isinstance(item, dict):
                tables.append(_Table(item, f"{self._at(key)}[{index}]", known, self._problems))
            else:
                self.problem(f"{key}[{index}]", f"is {_type_name(item)}, expected a table")
        return tables

    def tables_by_name(self, key: str, known: dict[str, tuple[str, ...]], what: str) -> dict[str, _Table]:
        """A table of tables, with the keys that each may have."""
        outer = self.table(key, known, what)
        if outer is None:
            return {}
        inner = {name: outer.table(name, known.get(name, ()), "credential") for name in outer.values}
        return {name: table for name, table in inner.items() if table is not None}

    def _typed(self, key: str, kind: type[T], default: T | None, expected: str = "") -> T | None:
        value = self.values.get(key, default)
        if value is None or (isinstance(value, kind) and isinstance(value, bool) == (kind is bool)):
            return value
        self.problem(key, f"is {_type_name(value)}, expected {expected or dict(_TYPES)[kind]}")
        return None

    def check_name(self, key: str, name: str, check: Check) -> None:
        """Check the name of a value in the table `key`."""
        self._check(f"{key}.{name}", name, check)

    def _check(self, key: str, value: str, check: Check) -> None:
        try:
            check(value)
        except ValueError as error:
            self.problem(key, str(error))

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean x?`, or what there is."""
    names = list(known)
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(names)}"


def _is_secret_url(value: str) -> None:
    if value == KEEP or value.startswith(("env:", "file:")):
        _is_secret(value)
        return
    try:
        check_web_address(value)
    except ValueError:
        raise ValueError("is no web address; write https://…, env:NAME or file:PATH") from None


def _is_secret(value: str) -> None:
    if not value.strip():
        raise ValueError("is empty; write the secret, env:NAME or file:PATH")
    if value.startswith(SEALED):
        raise ValueError(f"is encrypted already; write the secret, or {KEEP} to keep the one that is stored")
    if value.startswith("env:") and not _VARIABLE.fullmatch(value.removeprefix("env:")):
        raise ValueError("names no environment variable; write env:NAME")
    if value == "file:":
        raise ValueError("names no file; write file:PATH")


def check_endpoint_secret(value: str) -> None:
    """Raises ValueError, without the secret, for what cannot be an endpoint's."""
    if not value.strip():
        raise ValueError("is empty; leave it out to have one generated")
    _is_signing_secret(value)


def _is_signing_secret(value: str) -> None:
    _is_secret(value)
    if value.startswith("whsec_"):
        try:
            key = base64.b64decode(value.removeprefix("whsec_"), validate=True)
        except ValueError:
            key = b""
        if not key:
            raise ValueError("begins with whsec_ but goes on with no base64")


def _is_duration(value: str) -> None:
    parse_duration(value)


def _is_format(value: str) -> None:
    if value not in FORMATS:
        raise ValueError(f"{_quoted(value)} is no format; {nearest(value, FORMATS)}")


def _is_header_name(value: str) -> None:
    if not _TOKEN.fullmatch(value):
        raise ValueError("is no name of a header")
    if value.lower() in RESERVED_HEADERS or value.lower().startswith(RESERVED_PREFIXES):
        raise ValueError("is a header that trackly or the connection sets; choose another name")


def _is_header_value(value: str) -> None:
    _is_secret(value)
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise ValueError("is no value of a header: ASCII without line breaks, no blanks around it")


def _is_there(value: str) -> None:
    if not value.strip():
        raise ValueError("is empty")


def _is_id(value: str) -> None:
    if not _ID.fullmatch(value):
        raise ValueError(f"{_quoted(value)} is no id: 1 to 64 letters, digits, dots, underscores or dashes")


def _is_number(value: str) -> None:
    if not _NUMBER.fullmatch(value):
        raise ValueError(f"{_quoted(value)} is no phone number; write it as +18005551234")


def _is_network(value: str) -> None:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{_quoted(value)} is no network; write it as 203.0.113.0/24") from None


def _is_event(value: str) -> None:
    if value not in EVENTS:
        raise ValueError(f"{_quoted(value)} is no event; {nearest(value, EVENTS)}")


def _is_layer(value: str) -> None:
    if value not in OPT_OUT_LAYERS:
        raise ValueError(f"{_quoted(value)} is no layer; {nearest(value, OPT_OUT_LAYERS)}")


def _is_opt_out_word(value: str) -> None:
    if not any(map(str.isalnum, value)):
        raise ValueError(f"{_quoted(value)} has no letter or digit, and nothing else is compared")
    if len(value) > MAX_OPT_OUT_WORD:
        raise ValueError(f"has {len(value)} characters; {MAX_OPT_OUT_WORD} are the most")


def _is_look_alike(value: str) -> None:
    if not re.fullmatch(r"[A-Za-z]=[^\sA-Za-z]{1,100}", value):
        raise ValueError(f"{_quoted(value)} names no look-alikes; write a letter and what is taken for it, as in S=$5")


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _type_name(value: object) -> str:
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "a date or time")


def _pattern(path: str) -> str:
    return re.sub(r"\[[0-9]+\]", "", path)
