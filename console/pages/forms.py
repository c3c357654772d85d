"""Whether a form that changes something was sent by the user who is signed in."""

from __future__ import annotations

from fastapi import Request

from console.errors import not_ours
from console.http.browser_security import SAFE_METHODS, is_token


async def checked_form(request: Request) -> None:
    """A dependency of routes. Raises ApiError 403 unless the form has the token of the user who is signed in."""
    if request.method in SAFE_METHODS:
        return
    expected = getattr(request.state, "csrf", None)
    if expected is None or not is_token((await request.form()).get("csrf"), expected):
        raise not_ours()
