"""Webhook signatures: trackly's own headers, and those of Standard Webhooks.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hmac

from schemas.records import EndpointConfig

PREFIX = "whsec_"
"""Prefix of a Standard Webhooks secret; base64 follows."""


def secrets_at(config: EndpointConfig, now: int) -> tuple[str, str | None]:
    """Return an endpoint's secret and, during rotation, its next one, as stored in the settings.

    The next secret replaces the current one at `secret_next_at`; `now` is in ms since 1970 UTC.
    """
    if config.secret_next is not None and config.secret_next_at is not None and now >= config.secret_next_at:
        return config.secret_next, None
    return config.secret, config.secret_next


class Signer:
    """Creates signature headers with an endpoint's secret and, during rotation, its next one.

    The key of `X-Trackly-Signature` is the whole text of the secret in UTF-8. The key of `webhook-signature` is the
    decoded base64 after `whsec_`; a secret without that prefix, or with anything but base64 after it, is used as UTF-8
    text there too. If a secret without the prefix is valid base64, a second signature uses the decoded bytes, as the
    Standard Webhooks libraries do.

    During rotation, `webhook-signature` lists both signatures. `X-Trackly-Signature` holds only one, so
    `X-Trackly-Signature-Next` carries the other.
    """

    def __init__(self, secret: str, following: str | None = None) -> None:
        # Each signature copies a prepared state: keying costs more than hashing a body of this size.
        self._own = _own(secret)
        self._own_next = None if following is None else _own(following)
        secrets = (secret,) if following is None else (secret, following)
        keys = [key for each in secrets for key in standard_keys(each)]
        self._standard = [hmac.new(key, digestmod="sha256") for key in keys]

    def headers(self, event_id: str, body: bytes, at: int) -> dict[str, str]:
        """Return the signature headers of one attempt; `at` is in seconds since 1970 UTC."""
        headers = {"X-Trackly-Signature": _own_value(self._own, body)}
        if self._own_next is not None:
            headers["X-Trackly-Signature-Next"] = _own_value(self._own_next, body)
        signed = b"%b.%d." % (event_id.encode(), at)
        headers["webhook-id"] = event_id
        headers["webhook-timestamp"] = str(at)
        headers["webhook-signature"] = " ".join(_standard_value(keyed, signed, body) for keyed in self._standard)
        return headers


def standard_keys(secret: str) -> list[bytes]:
    """Return the keys for the Standard Webhooks signatures, first the one that the customers' page documents."""
    decoded = _base64(secret.removeprefix(PREFIX))
    if secret.startswith(PREFIX):
        return [decoded or secret.encode()]
    return [secret.encode(), *([decoded] if decoded else [])]


def _base64(text: str) -> bytes | None:
    bare = text.rstrip("=")
    try:
        # Padding is optional, as in the Standard Webhooks libraries.
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError:  # not base64, or not ASCII
        return None


def _own(secret: str) -> hmac.HMAC:
    return hmac.new(secret.encode(), digestmod="sha256")


def _own_value(keyed: hmac.HMAC, body: bytes) -> str:
    digest = keyed.copy()
    digest.update(body)
    return "sha256=" + digest.hexdigest()


def _standard_value(keyed: hmac.HMAC, signed: bytes, body: bytes) -> str:
    digest = keyed.copy()
    digest.update(signed)
    digest.update(body)
    return "v1," + base64.b64encode(digest.digest()).decode("ascii")
