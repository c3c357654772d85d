"""Passwords: argon2id hashes, and the password policy. Pure but for the random salt.

Parameters are OWASP's, 19 MiB and two passes: a sign-in takes about 20 ms, and a hash includes its parameters.
https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
"""

from __future__ import annotations

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH, MAX_LENGTH = 12, 1_000

MIN_DIFFERENT = 5
"""Minimum number of distinct characters of a password."""

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def hash_of(password: str) -> str:
    """Return the hash to store, with its parameters and salt."""
    return _HASHER.hash(_bytes(password))


def fits(password: str, stored: str | None) -> bool:
    """Whether the password matches this hash. Without a hash it takes just as long, and returns False."""
    try:
        return _HASHER.verify(stored or _NOBODY_S, _bytes(password)) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(stored: str) -> bool:
    """Whether a hash was made with outdated parameters."""
    return _HASHER.check_needs_rehash(stored)


def problem_of(password: str, email: str) -> str | None:
    """Return why it is not acceptable as this user's password, as a sentence; None if it is."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return f"A password must have {MIN_LENGTH} to {MAX_LENGTH:,} characters."
    told = password.casefold()
    if told in (email.casefold(), email.casefold().partition("@")[0]):
        return "The password must not be your email address."
    if len(set(told)) < MIN_DIFFERENT:
        return f"A password must have at least {MIN_DIFFERENT} different characters."
    return None


def _bytes(password: str) -> bytes:
    # Keyboards encode the same letter in more than one way (NIST SP 800-63B, 3.1.1.2).
    return unicodedata.normalize("NFKC", password)[:MAX_LENGTH].encode("utf-8", "surrogatepass")


_NOBODY_S = hash_of("")
