"""Signatures of webhooks: trackly's own header, and those of Standard Webhooks beside it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac

PREFIX = "whsec_"
"""What a secret of Standard Webhooks begins with; base64 follows."""


class Signer:
    """Makes the signature headers of one secret.

    `X-Trackly-Signature` is keyed with the whole text of the secret as UTF-8. `webhook-signature` is keyed
    with the bytes that the base64 after `whsec_` stands for; a secret without that prefix, or with something
    else than base64 behind it, is taken as it is there too, as UTF-8.
    """

    def __init__(self, secret: str) -> None:
        # Each signature copies a prepared state: keying costs more than hashing a body of this size.
        self._own = hmac.new(secret.encode(), digestmod="sha256")
        self._standard = hmac.new(standard_key(secret), digestmod="sha256")

    def headers(self, event_id: str, body: bytes, at: int) -> dict[str, str]:
        """Signature headers of one attempt; `at` is in seconds since 1970 UTC."""
        own = self._own.copy()
        own.update(body)
        standard = self._standard.copy()
        standard.update(b"%b.%d." % (event_id.encode(), at))
        standard.update(body)
        return {
            "X-Trackly-Signature": "sha256=" + own.hexdigest(),
            "webhook-id": event_id,
            "webhook-timestamp": str(at),
            "webhook-signature": "v1," + base64.b64encode(standard.digest()).decode("ascii"),
        }


def standard_key(secret: str) -> bytes:
    """Key of the Standard Webhooks signature."""
    if secret.startswith(PREFIX):
        text = secret.removeprefix(PREFIX)
        try:
            # Padding may be missing: the libraries of Standard Webhooks do not ask for it.
            return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
