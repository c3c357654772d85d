"""How an attempt to deliver ended: the kinds of failure, and what a receiver asks for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime

GONE = 410
"""The receiver wants no more webhooks: the endpoint is paused."""

DELIVERY_CONTROL = "webhook-delivery"
"""Header of an answer by which its receiver asks for what is in `CONTROLS` (proposed for Standard Webhooks)."""

DISABLE, ABORT_MESSAGE = "disable", "abort-message"

CONTROLS = (DISABLE, ABORT_MESSAGE)
"""No more webhooks to this endpoint, and no more attempts of this webhook."""

THROTTLES = frozenset({429, 503})
"""Statuses whose Retry-After is honoured (RFC 9110 section 10.2.3, RFC 6585 section 4)."""

LONGEST_RETRY_AFTER = 30 * 86_400.0
"""Seconds; whatever is longer means the same, since the longest delay is taken for it."""


@dataclass(frozen=True, slots=True)
class ErrorClass:
    """A kind of failure. `trips`: it counts towards opening the endpoint's breaker."""

    meaning: str
    trips: bool


ERROR_CLASSES: Mapping[str, ErrorClass] = {
    "http_status": ErrorClass("the answer was not 2xx; 5xx trips the breaker", trips=False),
    "aborted": ErrorClass("the answer was not 2xx, and asked for no further attempt of this webhook", trips=False),
    "timeout": ErrorClass("no answer in time", trips=True),
    "dns": ErrorClass("the host name has no address", trips=True),
    "connect": ErrorClass("no connection, or it was lost before the answer", trips=True),
    "tls": ErrorClass("no TLS connection, or the certificate is not valid", trips=True),
    "bad_response": ErrorClass("the answer is not HTTP, or interim answers (1xx) without end", trips=True),
    "refused_address": ErrorClass(
        "an address is not public and not allowed by TRACKLY_ALLOW_SUBNETS, or the port by TRACKLY_WEBHOOK_PORTS",
        trips=False,
    ),
    "invalid_url": ErrorClass("the endpoint's URL cannot be used", trips=False),
    "secret_missing": ErrorClass("the endpoint's secret points to nothing", trips=False),
    "breaker_open": ErrorClass("not sent: the endpoint has failed several times in a row", trips=False),
    "parked_too_long": ErrorClass("not sent: the endpoint was paused for longer than webhooks are kept", trips=False),
    "internal_error": ErrorClass("a fault in trackly", trips=False),
}


ANSWERED = ("http_status", "aborted")
"""Error classes of attempts that were answered: the status tells how they ended."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `error_class` is None for success; `retry_after` is in seconds, `asked` of `CONTROLS`.

    `head` is the beginning of the answer's body. It decides nothing, and two outcomes are equal without it.
    """

    status: int | None = None
    error_class: str | None = None
    retry_after: float | None = None
    head: str = field(default="", compare=False)
    asked: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the receiver took the webhook."""
        return self.error_class is None

    @property
    def trips(self) -> bool:
        """Whether the attempt counts towards opening the endpoint's breaker."""
        if self.error_class is None:
            return False
        return ERROR_CLASSES[self.error_class].trips or (
            self.error_class == "http_status" and (self.status or 0) >= 500
        )

    @property
    def aborted(self) -> bool:
        """Whether the receiver wants no further attempt of a webhook that it did not take."""
        return self.error_class == "aborted"

    @property
    def closes(self) -> bool:
        """Whether the receiver wants no more webhooks at all."""
        return self.status == GONE or DISABLE in self.asked

    @property
    def label(self) -> str:
        """For metrics: `2xx`, `4xx` and so on, or the error class."""
        return f"{self.status // 100}xx" if self.status is not None else self.error_class or ""


def answered(status: int, retry_after: float | None = None, head: str = "", asked: tuple[str, ...] = ()) -> Outcome:
    """Outcome of an attempt that was answered. Only 2xx is success: redirects are not followed."""
    error = "aborted" if ABORT_MESSAGE in asked else "http_status"
    return Outcome(status, None if 200 <= status < 300 else error, retry_after, head, asked)


def parse_controls(values: Iterable[str]) -> tuple[str, ...]:
    """What answers' `webhook-delivery` headers ask for, in the order of `CONTROLS`; other words ask for nothing."""
    words = {word.strip().lower() for value in values for word in value.split(",")}
    return tuple(control for control in CONTROLS if control in words)


def parse_retry_after(value: str, now: float) -> float | None:
    """Seconds to wait, from a Retry-After header: seconds or an HTTP date (RFC 9110 section 10.2.3).

    `now` is in seconds since 1970 UTC. None for what is neither.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        return min(max(0.0, at.timestamp() - now), LONGEST_RETRY_AFTER)
    except (ValueError, IndexError, OverflowError):
        return None
