"""Answers that are not 200. Every one is JSON: `{"error": sentence, "code": name}`."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.responses import Response


class Refused(Exception):
    """A request that gets an answer other than 200. `cause` is the code for the account's own people.

    The caller is told less where it must not learn what there is.
    """

    def __init__(
        self, status: int, code: str, error: str, headers: Mapping[str, str] | None = None, *, cause: str | None = None
    ) -> None:
        super().__init__(error)
        self.status = status
        self.code = code
        self.cause = cause or code
        self.headers = headers or {}


# Each is made anew: an exception keeps the frames that it was raised in, and with them a request and its body.


def not_found(cause: str = "not_found") -> Refused:
    """Nothing is at the path, or nobody is to know."""
    return Refused(404, "not_found", "There is nothing at this path.", cause=cause)


def too_large(limit: int) -> Refused:
    """The body has more bytes than `limit`."""
    text = f"The body is larger than {limit} bytes. Ask the provider for smaller batches."
    return Refused(413, "body_too_large", text)


def bad_target(code: str, text: str) -> Refused:
    """The URL is one that nobody's template can have become."""
    return Refused(414, code, text)


def not_stored() -> Refused:
    """Kafka has not acknowledged it."""
    return Refused(503, "not_stored", "The callback could not be stored. Send it again.", {"Retry-After": "5"})


def no_credentials() -> Refused:
    """What the account's proof is compared with cannot be had. Who asks has proved nothing, and is not told why."""
    text = "What proves callbacks of this account cannot be read here at the moment. Send it again."
    return Refused(503, "credentials_unavailable", text, {"Retry-After": "60"})


def refusal(refused: Refused) -> Response:
    """The response of a refused request."""
    body = orjson.dumps({"error": str(refused), "code": refused.code})
    return Response(body, refused.status, dict(refused.headers), media_type="application/json")
