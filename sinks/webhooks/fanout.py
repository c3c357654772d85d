"""What a record leads to: one delivery for each endpoint that wants it, with the body in that endpoint's layout.

No I/O. A callback of a registered message goes to the message's own URL; all callbacks of an account to one
host share a lane, named `account/~host`, so that a dead host keeps nobody else waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from accounts.model import Accounts, config_key
from accounts.urls import POLL
from outbound.bodies import PublicEvent, alert_body, body_of, callback_body, contact_of, event_name, is_wanted, list_of
from outbound.formats import content_type, laid_out
from schemas.codec import CodecError
from schemas.records import EndpointAlert, EndpointConfig, MessageCallback, Record, RemovalsHeld
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.window import Admission

Admit = Callable[[int, int], Admission]
"""Takes the record into the window: bytes, number of deliveries."""

HOST_MARK = "~"
"""Begins the second half of a callback lane's name. No endpoint id may contain it."""

CALLBACKS = "callbacks"
"""Stands for the lanes of all callbacks where others read it: senders choose their hosts."""

DELIVERY_BYTES = 1_024
"""What a delivery takes in memory beside its body: itself, its place in a queue, a request's headers."""


def fan_out(record: Record, accounts: Accounts, admit: Admit) -> list[Delivery]:
    """Deliveries of an event, an alert or a callback. Raises CodecError for other records.

    That a brake took hold is told as an alert alone: no customer is told of a removal before it is one.
    """
    if isinstance(record, PublicEvent):
        endpoints = _wanting(record, accounts)
        if endpoints:
            return _deliveries(record, event_name(record), body_of(record), contact_of(record), endpoints, admit)
    elif isinstance(record, EndpointAlert):
        endpoints = _wanting(record, accounts)
        if endpoints:
            return _deliveries(record, record.event, alert_body(record), None, endpoints, admit)
    elif isinstance(record, MessageCallback):
        if record.account in accounts.accounts:
            return [_callback(record, admit)]
    elif not isinstance(record, RemovalsHeld):
        raise CodecError(f"is a {type(record).__name__}, which is not a webhook")
    admit(0, 0)
    return []


def limited_list(record: PublicEvent | EndpointAlert, endpoint: EndpointConfig) -> str | None:
    """The list that an event is about, where its endpoint limits that list."""
    number = None if isinstance(record, EndpointAlert) else list_of(record)
    return number if number in endpoint.list_rate_limits else None


def callback_lane(account: str, url: str) -> str:
    """Name of the lane of an account's callbacks to the host of a URL."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return f"{account}/{HOST_MARK}{host}" if parts.port is None else f"{account}/{HOST_MARK}{host}:{parts.port}"
    except ValueError:
        return f"{account}/{HOST_MARK}"


def is_callback_lane(name: str) -> bool:
    """Whether a lane is one of callbacks, not of an endpoint."""
    return name.partition("/")[2].startswith(HOST_MARK)


def settings_of(name: str, accounts: Accounts) -> EndpointConfig | None:
    """Settings of the lane of this name; None where there is none: deleted, or polled. Callbacks have those of an
    endpoint that wants nothing special.
    """
    if not is_callback_lane(name):
        config = accounts.endpoints.get(name)
        return None if config is None or config.url == POLL else config
    account_id, _, host = name.partition("/")
    account = accounts.accounts.get(account_id)
    if account is None:
        return None
    return EndpointConfig(account=account_id, id=host, url="", secret=account.callback_secret or "", events=())


def may_use_http(name: str, accounts: Accounts) -> bool:
    """Whether the account of a lane may send to http URLs."""
    account = accounts.accounts.get(name.partition("/")[0])
    return account is not None and account.allow_http


def _callback(callback: MessageCallback, admit: Admit) -> Delivery:
    body = callback_body(callback)
    name = callback_lane(callback.account, callback.url)
    admission = admit(len(body) + DELIVERY_BYTES, 1)
    return Delivery(name, callback.event_id, callback.event, body, callback.to, admission, url=callback.url)


def _wanting(event: PublicEvent | EndpointAlert, accounts: Accounts) -> list[EndpointConfig]:
    return [
        endpoint
        for endpoint in accounts.endpoints_of(event.account)
        if endpoint.url != POLL and is_wanted(event, endpoint)
    ]


def _deliveries(
    record: PublicEvent | EndpointAlert,
    event: str,
    body: bytes,
    contact: str | None,
    endpoints: list[EndpointConfig],
    admit: Admit,
) -> list[Delivery]:
    bodies = {"json": body}
    for endpoint in endpoints:
        if endpoint.format not in bodies:
            bodies[endpoint.format] = laid_out(endpoint.format, record.event_id, event, record.timestamp, body)
    admission = admit(sum(map(len, bodies.values())) + DELIVERY_BYTES * len(endpoints), len(endpoints))
    return [
        Delivery(
            config_key(endpoint),
            record.event_id,
            event,
            bodies[endpoint.format],
            contact,
            admission,
            content_type=content_type(endpoint.format, batch=endpoint.batch_events > 1),
            loose=endpoint.batch_events > 1,
            list_number=limited_list(record, endpoint) if endpoint.list_rate_limits else None,
        )
        for endpoint in endpoints
    ]
