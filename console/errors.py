"""Errors of requests, with the answer and status of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from console.principals import Role

MAX_PROBLEMS, MAX_PROBLEM = 10, 500
"""Maximum problems of a body to report, and characters of each: a batch may have thousands, and a problem quotes
names."""


class ApiError(Exception):
    """A request that was not carried out. `message` says what to do, and contains nothing of other accounts."""

    def __init__(
        self, status: int, code: str, error: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(error)
        self.status = status
        self.code = code
        self.error = error
        self.message = message
        self.headers = headers or {}


def missing_key() -> ApiError:
    """No API key was sent."""
    return ApiError(
        401,
        "missing_api_key",
        "An API key is missing.",
        "Send one as `X-Api-Key: trk_…` or `Authorization: Bearer trk_…`. Create one with `trackly keys create`.",
        {"WWW-Authenticate": "Bearer"},
    )


def invalid_key() -> ApiError:
    """The API key is not valid."""
    return ApiError(
        401,
        "invalid_api_key",
        "The API key is not valid.",
        "It is unknown, expired, or revoked. `trackly keys list` shows all keys.",
        {"WWW-Authenticate": "Bearer"},
    )


def not_found(message: str) -> ApiError:
    """It does not exist, or belongs to another account."""
    return ApiError(404, "not_found", "Not found.", message)


def forbidden(least: Role) -> ApiError:
    """The role in a visible account is too low."""
    return ApiError(403, "forbidden", "Your role does not allow this.", f"You need the {least} role in this account.")


def not_an_operator() -> ApiError:
    """The data belongs to no account."""
    return ApiError(
        403,
        "forbidden",
        "Your role does not allow this.",
        "You need the admin role for every account of this installation.",
    )


def not_ours() -> ApiError:
    """The request does not come from a page of the console."""
    return ApiError(403, "forbidden", "This form has expired.", "Go back, reload the page, and submit it again.")


def too_large(limit: int) -> ApiError:
    """The body is too large."""
    return ApiError(
        413, "validation_failed", "The body is too large.", f"The limit is {limit:,} bytes; send less at once."
    )


def rate_limited(seconds: int) -> ApiError:
    """The key, or the user, has made too many requests."""
    return ApiError(
        429,
        "rate_limited",
        "Too many requests.",
        f"Try again in {seconds} s. Batches of up to 1,000 need fewer requests.",
        {"Retry-After": str(seconds)},
    )


def changed_meanwhile() -> ApiError:
    """The settings have changed since the caller read them."""
    return ApiError(
        412,
        "changed_meanwhile",
        "Someone else has changed these settings; nothing was done.",
        "Reload them and make your change again.",
    )


def method_not_allowed(allowed: Iterable[str]) -> ApiError:
    """The path takes other methods only."""
    methods = ", ".join(sorted(allowed))
    return ApiError(
        405, "method_not_allowed", "The method is wrong.", f"This path takes {methods}.", {"Allow": methods}
    )


def not_available(message: str) -> ApiError:
    """Something required for an answer is unavailable right now."""
    return ApiError(503, "not_available", "This cannot be done right now.", message, {"Retry-After": "5"})


def validation_failed(problems: Sequence[str]) -> ApiError:
    """The request is invalid; `problems` are `place: what is wrong`."""
    told = "; ".join(problem[:MAX_PROBLEM] for problem in problems[:MAX_PROBLEMS])
    more = f"; and {len(problems) - MAX_PROBLEMS} more" if len(problems) > MAX_PROBLEMS else ""
    message = f"{told}{more}"
    end = "" if message.endswith("?") else "."
    return ApiError(422, "validation_failed", "The request is not valid; nothing was done.", message + end)


def problem(error: Mapping[str, Any]) -> str:
    """Format a pydantic error as `messages[3].to: is missing`, without repeating the caller's value."""
    place = ""
    for step in error["loc"][1:]:
        place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else str(step)
    match error["type"]:
        case "missing":
            text = "is missing"
        case "json_invalid":
            place, text = "body", "is not valid JSON"
        case "extra_forbidden":
            text = "is not a known field"
        case "model_attributes_type":
            # A body that is not declared as JSON is not parsed.
            text = "is not a JSON object" + ("" if place else "; send one with `Content-Type: application/json`")
        case _:
            text = str(error["msg"]).removeprefix("Value error, ")
            text = text[:1].lower() + text[1:]
    return f"{place or 'body'}: {text}"


def conflict(message: str) -> ApiError:
    """The request conflicts with the current state."""
    return ApiError(409, "conflict", "This cannot be done in the current state.", message)
