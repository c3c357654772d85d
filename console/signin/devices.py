"""Device cookies: others' failed sign-ins do not slow down a browser that has signed in before.

https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies

The cookie is signed with the stored password hash. So it belongs to one user, a new password invalidates every device,
and there is no further secret to keep.
"""

from __future__ import annotations

import hashlib
import hmac

from starlette.responses import Response

from console.signin.secrets import new_token
from console.signin.users import User

VALID_MS = 180 * 24 * 3_600_000
"""How long a browser is known after its last sign-in."""


def cookie_name(email: str, secure: bool) -> str:
    """One per user, because a browser may have several users, and without the address in it."""
    return f"{'__Host-' if secure else ''}trackly-device-{hashlib.sha256(email.encode()).hexdigest()[:12]}"


def set_cookie(answer: Response, user: User, secure: bool, now: int) -> None:
    """Mark the browser as one that has signed in as this user. Without a password, there is nothing to guess."""
    if user.password is not None:
        answer.set_cookie(
            cookie_name(user.email, secure), value_of(user, new_token(), now), max_age=VALID_MS // 1000,
            secure=secure, httponly=True, samesite="lax",
        )  # fmt: skip


def value_of(user: User, device: str, now: int) -> str:
    """Return a device's cookie: its id, its creation time, and a signature of both."""
    known = f"{device}.{now}"
    return f"{known}.{_signature(user, known)}"


def device_of(cookie: str, user: User | None, now: int) -> str | None:
    """Return the device's id, if the cookie is genuine, belongs to this user, and is not too old."""
    known, _, signature = cookie.rpartition(".")
    device, _, since = known.rpartition(".")
    if user is None or user.password is None or not (since.isascii() and since.isdigit() and len(since) < 16):
        return None
    is_genuine = hmac.compare_digest(signature.encode(), _signature(user, known).encode())
    return device if is_genuine and int(since) > now - VALID_MS else None


def _signature(user: User, known: str) -> str:
    return hmac.new(
        str(user.password).encode(), f"trackly device {user.id} {known}".encode(), hashlib.sha256
    ).hexdigest()
