"""What every provider file offers: how a callback proves itself, how its body reads, what it is answered.

Everything here is pure: a provider sees bytes and settings, never a socket or a topic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from schemas.records import InboundMessage, LinkClick, Postback, RawCallback, Receipt

NOT_SUPPORTED, OTHER_CHANNEL = "not_supported", "other_channel"
"""Reasons of what is understood and gives no event: it says nothing about a message or a wish, or is of a channel that
has no phone numbers."""


SMALL_BODY, LARGE_BODY = 256 << 10, 4 << 20
"""Bytes of the largest body of a provider: of one that sends a few reports in a request, and of one that sends
thousands."""

MAX_FIELDS = 1_000
"""Fields of a form, or parameters of a query, that are read. Providers fill fewer than a hundred."""

MAX_CONTENT_TYPE = 1_000
"""Characters of a content type that count."""


BEFORE_IT_IS_LOST = 13.0
"""Seconds to wait for Kafka before a callback is refused of which a repeat is not promised. Twilio gives a callback and
its one repeat 15 s together; a cluster that loses a broker takes records again after 9 to 12 s."""


class NotAuthentic(Exception):
    """The callback does not prove that it comes from the provider. `code` is for machines, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unreadable(Exception):
    """A whole body that cannot be read. `reason` is a short name, the text a sentence that names the field."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """A callback as ingest sees it before it is stored.

    `url` is the public URL that the provider was given, with path and query; `other_urls` are what else it may have
    been given. Header names are lower case. `path_secret` is the last segment of
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
        """What the body is said to be."""
        return self.headers.get("content-type", "")[:MAX_CONTENT_TYPE] or None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider is answered once its callback is durable. The status is always 200."""

    body: bytes = b""
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """One item of a body that cannot be understood, while its siblings can."""

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
    """How a provider's reports of failures tell what went wrong.

    `unknown` gives, of a status and a code as it writes them, the code that is in no table; None where all are known,
    or none is documented. `parted` splits a code into what stands for the outcome itself, or nothing, and the error's.
    """

    unknown: Callable[[str, str | None], str | None] = _none_is_unknown
    parted: Callable[[str], tuple[str, str]] = _error_alone


class Provider(Protocol):
    """One provider. Implementations hold no state."""

    name: str
    methods: frozenset[str]
    behind_path_secret: bool
    """Whether a secret of the deployment stands in the path of its callbacks; ingest checks that before `verify`."""
    max_body_bytes: int
    """Bytes of the largest body that is taken, and read: SMALL_BODY or LARGE_BODY."""
    answer_within: float | None
    """Seconds after which a callback that is not durable is answered 503; None: TRACKLY_ACK_TIMEOUT. It is long where
    one that is refused may not come again (BEFORE_IT_IS_LOST)."""
    credentials: tuple[str, ...]
    """Names of what an account may have for it."""
    secrets: frozenset[str]
    """Which of the credentials are secrets. Each may have a second one, NAME_previous, while it is changed."""
    proof_headers: frozenset[str]
    """Headers that prove a callback, lower case. They are never stored."""
    codes: Codes | None
    """How its reports of failures tell what went wrong; None: it sends no reports."""
    sent_details: frozenset[str]
    """Status details of the reports that say: the message goes, or went, to the carrier."""
    billing_details: frozenset[str]
    """Status details that say that the sender's account has no credit, or is suspended."""
    has_zoneless_times: bool
    """Whether its reports have a carrier's local time without its zone. It orders the reports of one message, which
    come from one carrier, and nothing else."""
    texts_answers: bool
    """Whether it texts the body of an answer to a form or a GET to the person who wrote, an error too."""

    def verify(self, request: CallbackRequest, credentials: Mapping[str, str]) -> None:
        """Return when the request proves itself with the account's credentials, else raise NotAuthentic.

        A secret in the path is a claim like any other: it is right, or the request is refused, unless it is the
        deployment's (`behind_path_secret`).
        """

    def prove(self, request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
        """The request with what the provider adds to prove it, so that `verify` accepts it. A secret in the path of its
        callbacks stands there already."""

    def read(self, callback: RawCallback) -> list[Item]:
        """Every item of the body, in order. Raises Unreadable when the body as a whole makes no sense.

        The event id of item n is that of `providers.fields.origin(callback, n)`, so that reading again gives the
        same ids.
        """

    def answer(self, request: CallbackRequest) -> Answer:
        """What to answer once the callback is stored."""
