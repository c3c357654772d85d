"""Errors as HTML pages."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.errors import ApiError
from console.pages.shell import page

SIGN_IN = "/sign-in"


def error_page(request: Request, error: ApiError) -> Response:
    """Return the error as a page, with its status."""
    answer = page(request, "error.html", status=error.status, error=error)
    answer.headers.update(error.headers)
    return answer


async def sign_in_first(request: Request, error: Exception) -> Response:
    """Redirect to the sign-in page, which returns to the requested page."""
    target = request.url.path if request.method == "GET" else "/"
    if request.method == "GET" and request.url.query:
        target += f"?{request.url.query}"
    return RedirectResponse(f"{SIGN_IN}?{urlencode({'next': target})}", 303)
