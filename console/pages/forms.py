"""Checks that a form was sent by the signed-in user."""

from __future__ import annotations

from fastapi import Request

from console.errors import not_ours
from console.http.browser_security import SAFE_METHODS, is_token


async def checked_form(request: Request) -> None:
    """Route dependency. Raises ApiError 403 unless the form has the signed-in user's token."""
    if request.method in SAFE_METHODS:
        return
    expected = getattr(request.state, "csrf", None)
    if expected is None or not is_token((await request.form()).get("csrf"), expected):
        raise not_ours()
