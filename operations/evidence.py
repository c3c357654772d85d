"""Signed evidence: JSON that anyone can verify, signed with Ed25519 (RFC 8032). No I/O.

The signature covers DOMAIN and the evidence as JSON in UTF-8 with sorted keys and no spaces. Its numbers are integers
that fit in every language; times are texts.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

FORMAT = "trackly-evidence/1"
DOMAIN = FORMAT.encode() + b"\n"
"""Precedes the signed text, so that the signature cannot be used for anything else."""

ALGORITHM = "Ed25519"


class NotProven(ValueError):
    """A file that is not evidence, or was changed. The text says what is wrong."""


def public_key(private: str) -> str:
    """Return the public key of a private one, both 32 bytes in URL-safe base64."""
    return _encoded(_private(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def key_id(public: str) -> str:
    """Return a short name for a public key: 16 hex digits of its SHA-256."""
    return hashlib.sha256(_decoded(public)).hexdigest()[:16]


def signed(evidence: Mapping[str, Any], private: str) -> dict[str, Any]:
    """Return the evidence with its signature."""
    public = public_key(private)
    value = _encoded(_private(private).sign(DOMAIN + canonical(evidence)))
    signature = {"algorithm": ALGORITHM, "key_id": key_id(public), "public_key": public, "value": value}
    return {"evidence": dict(evidence), "signature": signature}


def verified(text: bytes, trusted: Collection[str]) -> dict[str, Any]:
    """Return a file's evidence if one of the `trusted` public keys signed it. Raises NotProven."""
    try:
        found = json.loads(text, object_pairs_hook=_without_repeats, parse_float=_no_float, parse_constant=_no_float)
    except RecursionError:
        raise NotProven("it is not trackly evidence") from None
    except ValueError as error:
        raise NotProven(str(error) if isinstance(error, NotProven) else "it is not valid JSON") from None
    evidence = found.get("evidence") if isinstance(found, dict) else None
    signature = found.get("signature") if isinstance(found, dict) else None
    if not isinstance(evidence, dict) or not isinstance(signature, dict) or evidence.get("format") != FORMAT:
        raise NotProven("it is not trackly evidence, or a newer version wrote it")
    try:
        public = _decoded(signature["public_key"])
        value = _decoded(signature["value"])
        Ed25519PublicKey.from_public_bytes(public).verify(value, DOMAIN + canonical(evidence))
    except (KeyError, TypeError, ValueError):
        raise NotProven("its signature cannot be read") from None
    except InvalidSignature:
        raise NotProven("it was changed after it was signed") from None
    if public not in map(_decoded, trusted):
        raise NotProven(f"it is unchanged, but signed with another key: {key_id(_encoded(public))}")
    return evidence


def canonical(evidence: Mapping[str, Any]) -> bytes:
    """Return the bytes to sign."""
    return orjson.dumps(dict(evidence), option=orjson.OPT_SORT_KEYS)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # One program would read a duplicate field and another would ignore it.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotProven("it has a duplicate field")
    return found


def _no_float(text: str) -> Any:
    raise NotProven(f"it has a number that is not an integer: {text[:20]}")


def _private(key: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_decoded(key))


def _decoded(text: Any) -> bytes:
    if not isinstance(text, str):
        raise ValueError("is not text")
    return base64.b64decode(text, altchars=b"-_", validate=True)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii")
