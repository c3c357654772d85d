"""Outcomes of delivery attempts: the kinds of failure, and requests made by receivers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime

GONE = 410
"""The receiver wants no more webhooks: the endpoint is paused."""

DELIVERY_CONTROL = "webhook-delivery"
"""Answer header with which a receiver requests one of `CONTROLS` (proposed for Standard Webhooks)."""

DISABLE, ABORT_MESSAGE = "disable", "abort-message"

CONTROLS = (DISABLE, ABORT_MESSAGE)
"""No more webhooks to this endpoint, and no more attempts of this webhook."""

THROTTLES = frozenset({429, 503})
"""Statuses whose Retry-After is honored (RFC 9110 section 10.2.3, RFC 6585 section 4)."""

LONGEST_RETRY_AFTER = 30 * 86_400.0
"""In seconds; a longer value has no effect, because the longest delay is used for it."""


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


_NOT_AUTHENTIC = "the receiver did not let it in: compare its signing secret and the endpoint's headers"
_STATUS_MEANINGS: Mapping[int, str] = {
    401: _NOT_AUTHENTIC,
    403: _NOT_AUTHENTIC,
    404: "the receiver has nothing at this URL",
    405: "the receiver takes no POST at this URL",
    GONE: "the receiver wants no more webhooks",
}

ANSWERED = ("http_status", "aborted")
"""Error classes of attempts that got an answer: the status describes the outcome."""


def meaning_of(error_class: str | None, status: int | None) -> str | None:
    """Return what went wrong, in words; None for success, and for an error class of a newer version."""
    if error_class == "http_status" and status is not None and status < 500:
        redirect = 300 <= status < 400
        return _STATUS_MEANINGS.get(
            status, "a redirect, which is not followed" if redirect else "the answer was not 2xx"
        )
    known = ERROR_CLASSES.get(error_class or "")
    return None if known is None else known.meaning


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an attempt. `error_class` is None for success; `retry_after` is in seconds, `asked` is from
    `CONTROLS`.

    `head` is the beginning of the answer's body, `detail` what is wrong with a certificate; they affect nothing, not
    even equality.
    """

    status: int | None = None
    error_class: str | None = None
    retry_after: float | None = None
    head: str = field(default="", compare=False)
    asked: tuple[str, ...] = ()
    detail: str = field(default="", compare=False)

    @property
    def ok(self) -> bool:
        """Whether the receiver accepted the webhook."""
        return self.error_class is None

    @property
    def meaning(self) -> str | None:
        """What went wrong, in words; None for success."""
        return self.detail or meaning_of(self.error_class, self.status)

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
        """Whether the receiver wants no further attempt of a webhook that it did not accept."""
        return self.error_class == "aborted"

    @property
    def closes(self) -> bool:
        """Whether the receiver wants no more webhooks at all."""
        return self.status == GONE or DISABLE in self.asked

    @property
    def label(self) -> str:
        """Label for metrics: `2xx`, `4xx`, and so on, or the error class."""
        return f"{self.status // 100}xx" if self.status is not None else self.error_class or ""


def answered(status: int, retry_after: float | None = None, head: str = "", asked: tuple[str, ...] = ()) -> Outcome:
    """Return the outcome of an answered attempt. Only 2xx is success: redirects are not followed."""
    error = "aborted" if ABORT_MESSAGE in asked else "http_status"
    return Outcome(status, None if 200 <= status < 300 else error, retry_after, head, asked)


def parse_controls(values: Iterable[str]) -> tuple[str, ...]:
    """Return the requests in `webhook-delivery` headers, in the order of `CONTROLS`; unknown words are ignored."""
    words = {word.strip().lower() for value in values for word in value.split(",")}
    return tuple(control for control in CONTROLS if control in words)


def parse_retry_after(value: str, now: float) -> float | None:
    """Parse a Retry-After header (seconds or an HTTP date, RFC 9110 section 10.2.3) into seconds to wait.

    `now` is in seconds since 1970 UTC. None if it is neither.
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
