"""What every provider file offers: how a callback proves itself, how its body reads, what it is answered.

Everything here is pure: a provider sees bytes and settings, never a socket or a topic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from schemas.records import InboundMessage, LinkClick, Postback, RawCallback, Receipt


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

    `url` is the public URL that the provider was given, with path and query; header names are lower case.
    `path_secret` is the last segment of `/api/webhook-feedbacks/{provider}/{path_secret}`.
    """

    method: str
    url: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    path_secret: str | None = None

    @property
    def content_type(self) -> str | None:
        """What the body is said to be."""
        return self.headers.get("content-type")


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


class Provider(Protocol):
    """One provider. Implementations hold no state."""

    name: str
    methods: frozenset[str]
    behind_path_secret: bool
    """Whether a secret of the deployment stands in the path of its callbacks; ingest checks that before `verify`."""
    credentials: tuple[str, ...]
    """Names of what an account may have for it. A secret may have a second one, NAME_previous, while it is changed."""

    def verify(self, request: CallbackRequest, credentials: Mapping[str, str]) -> None:
        """Return when the request proves itself with the account's credentials, else raise NotAuthentic.

        A secret in the path is a claim like any other: it is right, or the request is refused, unless it is the
        deployment's (`behind_path_secret`).
        """

    def read(self, callback: RawCallback) -> list[Item]:
        """Every item of the body, in order. Raises Unreadable when the body as a whole makes no sense.

        The event id of item n is that of `providers.fields.origin(callback, n)`, so that reading again gives the
        same ids.
        """

    def answer(self, request: CallbackRequest) -> Answer:
        """What to answer once the callback is stored."""
