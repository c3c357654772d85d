"""Fans a record out into one delivery per interested endpoint, with the body in that endpoint's layout.

No I/O. A registered message's callback goes to the message's own URL; an account's callbacks to one host share a lane,
`account/~host`, so that a dead host delays nobody else.
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
"""Admits the record to the window: bytes, number of deliveries."""

HOST_MARK = "~"
"""Begins the second half of a callback lane's name. No endpoint id may contain it."""

CALLBACKS = "callbacks"
"""Public name for all callback lanes, because senders choose their hosts."""

DELIVERY_BYTES = 1_024
"""Memory of a delivery besides its body: itself, its place in a queue, a request's headers."""


def fan_out(record: Record, accounts: Accounts, admit: Admit) -> list[Delivery]:
    """Return the deliveries of an event, an alert, or a callback. Raises CodecError for other records.

    A brake's hold is only reported by an alert: customers hear of a removal once it is one.
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
    """Return the event's list, if its endpoint limits that list."""
    number = None if isinstance(record, EndpointAlert) else list_of(record)
    return number if number in endpoint.list_rate_limits else None


def callback_lane(account: str, url: str) -> str:
    """Return the lane name for an account's callbacks to a URL's host."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return f"{account}/{HOST_MARK}{host}" if parts.port is None else f"{account}/{HOST_MARK}{host}:{parts.port}"
    except ValueError:
        return f"{account}/{HOST_MARK}"


def is_callback_lane(name: str) -> bool:
    """Whether a lane is for callbacks and not for an endpoint."""
    return name.partition("/")[2].startswith(HOST_MARK)


def settings_of(name: str, accounts: Accounts) -> EndpointConfig | None:
    """Return the settings of a lane; None if there are none: deleted, or polled. Callbacks use an endpoint's
    defaults."""
    if not is_callback_lane(name):
        config = accounts.endpoints.get(name)
        return None if config is None or config.url == POLL else config
    account_id, _, host = name.partition("/")
    account = accounts.accounts.get(account_id)
    if account is None:
        return None
    return EndpointConfig(account=account_id, id=host, url="", secret=account.callback_secret or "", events=())


def may_use_http(name: str, accounts: Accounts) -> bool:
    """Whether a lane's account may send to http URLs."""
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
