"""Whether a form that changes something was sent from the console's own page, by the user who is signed in."""

from __future__ import annotations

import hmac

from fastapi import Request

from console.errors import not_ours
from console.security import SAFE_METHODS, is_same_origin


async def checked_form(request: Request) -> None:
    """A dependency of routes. Raises ApiError 403 unless the browser and the form's token say that it is ours."""
    if request.method in SAFE_METHODS:
        return
    expected = getattr(request.state, "csrf", None)
    if expected is None or not is_same_origin(request.headers):
        raise not_ours()
    given = (await request.form()).get("csrf", "")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), expected.encode()):
        raise not_ours()


async def same_origin(request: Request) -> None:
    """For forms that nobody is signed in for yet. Raises ApiError 403 for those of other sites."""
    if request.method not in SAFE_METHODS and not is_same_origin(request.headers):
        raise not_ours()
