"""Answers other than 200. All are JSON: `{"error": sentence, "code": name}`."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.responses import Response


class Refused(Exception):
    """A request that is answered with something other than 200. `cause` is the detailed code for the account's own
    people.

    The caller gets a vaguer code where the detail would reveal what exists.
    """

    def __init__(
        self, status: int, code: str, error: str, headers: Mapping[str, str] | None = None, *, cause: str | None = None
    ) -> None:
        super().__init__(error)
        self.status = status
        self.code = code
        self.cause = cause or code
        self.headers = headers or {}


# Create a new one each time: an exception keeps the frames it was raised in, and so the request and its body.


def not_found(cause: str = "not_found") -> Refused:
    """Nothing exists at this path, or the caller must not know that something does."""
    return Refused(404, "not_found", "There is nothing at this path.", cause=cause)


def too_large(limit: int) -> Refused:
    """The body is longer than `limit` bytes."""
    text = f"The body is larger than {limit} bytes. Ask the provider for smaller batches."
    return Refused(413, "body_too_large", text)


def bad_target(code: str, text: str) -> Refused:
    """No provider's template can produce this URL."""
    return Refused(414, code, text)


def not_stored() -> Refused:
    """Kafka did not acknowledge the callback."""
    return Refused(503, "not_stored", "The callback could not be stored. Send it again.", {"Retry-After": "5"})


def no_credentials() -> Refused:
    """The secrets that would verify the callback are unavailable. The caller is unverified, so it is not told why."""
    text = "Callbacks for this account cannot be verified right now. Send it again."
    return Refused(503, "credentials_unavailable", text, {"Retry-After": "60"})


def no_accounts() -> Refused:
    """No account exists: settings were lost, are not copied yet, or lie under another prefix. Providers would give up
    after a 404."""
    return Refused(503, "no_accounts", "There are no accounts here yet. Send it again.", {"Retry-After": "60"})


def refusal(refused: Refused) -> Response:
    """Return the response for a refused request."""
    body = orjson.dumps({"error": str(refused), "code": refused.code})
    return Response(body, refused.status, dict(refused.headers), media_type="application/json")
