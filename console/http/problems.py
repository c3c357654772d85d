"""Answers other than 2xx. All are JSON: `{"error": sentence, "code": name, "message": detail}`."""

from __future__ import annotations

import orjson
from starlette.responses import Response

from console.errors import ApiError


def answer_of(error: ApiError) -> Response:
    """Return the answer for a failed request."""
    body = orjson.dumps({"error": error.error, "code": error.code, "message": error.message})
    return Response(body, error.status, dict(error.headers), media_type="application/json")
