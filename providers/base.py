"""The provider interface: verify a callback, read its body, answer it.

Everything here is pure: a provider sees bytes and settings, never a socket or a topic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from schemas.records import InboundMessage, LinkClick, Postback, RawCallback, Receipt

NOT_SUPPORTED, OTHER_CHANNEL = "not_supported", "other_channel"
"""Reasons for items that are understood but produce no event: they concern no message or opt-out, or come from a
channel without phone numbers."""


SMALL_BODY, LARGE_BODY = 256 << 10, 4 << 20
"""Size limit of a body in bytes, for providers that send a few reports per request and for those that send
thousands."""

MAX_FIELDS = 1_000
"""Maximum fields of a form, or parameters of a query. Providers use fewer than a hundred."""

MAX_CONTENT_TYPE = 1_000
"""Characters of a content type that are looked at."""


BEFORE_IT_IS_LOST = 13.0
"""Seconds to wait for Kafka before refusing a callback that may not be retried. Twilio allows 15 s for a callback and
its one retry together; a cluster that loses a broker accepts records again after 9 to 12 s."""


class NotAuthentic(Exception):
    """The callback does not prove that it comes from the provider. `code` is for machines, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unreadable(Exception):
    """The body as a whole cannot be read. `reason` is a short code, the text a sentence that names the field."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason


class CallbackRequest(Struct, frozen=True, gc=False):
    """A callback as ingest sees it before storing it.

    `url` is the public URL given to the provider, with path and query; `other_urls` are alternatives that may have been
    given instead. Header names are lower case. `path_secret` is the last segment of
    `/api/webhook-feedbacks/{provider}/{path_secret}`.
    """

    method: str
    url: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    path_secret: str | None = None
    other_urls: tuple[str, ...] = ()

    @property
    def content_type(self) -> str | None:
        """The declared content type."""
        return self.headers.get("content-type", "")[:MAX_CONTENT_TYPE] or None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to the provider once its callback is durable. The status is always 200."""

    body: bytes = b""
    content_type: str | None = None


class Malformed(Struct, frozen=True, gc=False):
    """One item that cannot be understood, in a body whose other items can."""

    reason: str
    error: str
    item: str


Item = Receipt | InboundMessage | LinkClick | Postback | Malformed


def _none_is_unknown(_status: str, _code: str | None) -> str | None:
    return None


def _error_alone(code: str) -> tuple[str, str]:
    return "", code


@dataclass(frozen=True, slots=True)
class Codes:
    """How to read the codes in a provider's failure reports.

    `unknown` takes a status and a code as the provider writes them, and returns the code if no table has it; None if
    every code is known, or the provider documents none. `parted` splits a code into the part for the outcome itself
    (may be empty) and the error's part.
    """

    unknown: Callable[[str, str | None], str | None] = _none_is_unknown
    parted: Callable[[str], tuple[str, str]] = _error_alone


class Provider(Protocol):
    """One provider. Implementations are stateless."""

    name: str
    methods: frozenset[str]
    behind_path_secret: bool
    """Whether its callbacks carry a deployment secret in the path. Ingest checks it before `verify`."""
    max_body_bytes: int
    """Size limit of a body in bytes, for storing and for reading: SMALL_BODY or LARGE_BODY."""
    answer_within: float | None
    """Seconds after which a callback that is not durable is answered 503; None: TRACKLY_ACK_TIMEOUT. Long where a
    refused callback may not be retried (BEFORE_IT_IS_LOST)."""
    credentials: tuple[str, ...]
    """Names of the credentials that an account may have for it."""
    secrets: frozenset[str]
    """Which of the credentials are secrets. During rotation, each may have a second value, NAME_previous."""
    proof_headers: frozenset[str]
    """Headers that prove a callback, lower case. They are never stored."""
    codes: Codes | None
    """How its failure reports encode what went wrong; None: it sends no reports."""
    sent_details: frozenset[str]
    """Status details of reports that say the message was sent, or is being sent, to the carrier."""
    billing_details: frozenset[str]
    """Status details that mean the sender's account has no credit or is suspended."""
    has_zoneless_times: bool
    """Whether its reports have a carrier's local time without a zone. Such a time only orders the reports of one
    message, which come from one carrier."""
    texts_answers: bool
    """Whether it texts the body of an answer to a form or GET, even an error, to the person who wrote."""

    def verify(self, request: CallbackRequest, credentials: Mapping[str, str]) -> None:
        """Check the request's proof against the account's credentials. Raises NotAuthentic.

        A secret in the path must match like any other, unless it is the deployment's (`behind_path_secret`).
        """

    def prove(self, request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
        """Return the request with the proof that the provider adds, so that `verify` accepts it. A path secret is
        already in the URL."""

    def read(self, callback: RawCallback) -> list[Item]:
        """Return every item of the body, in order. Raises Unreadable when the body as a whole makes no sense.

        The event id of item n is that of `providers.fields.origin(callback, n)`, so reading again gives the same ids.
        """

    def answer(self, request: CallbackRequest) -> Answer:
        """Return the answer for a stored callback."""
