"""Failures with a code that no table has: counted, shown, and taken for transient.

A code that says nothing to us must neither remove a contact at once nor let a dead number be texted for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from providers.codes import unknown_code
from schemas.records import Receipt

log = logging.getLogger(__name__)

MAX_SHOWN = 200
"""Codes that a worker shows, each once. Every one is in `provider_code` and `status_detail` of its events."""


class UnknownCodes:
    """Looks at every receipt. `count` is told the provider of each that has an unknown code."""

    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count
        self._shown: set[tuple[str, str]] = set()

    def checked(self, receipt: Receipt) -> Receipt:
        """The receipt, of the class `transient` where its outcome has an unknown code."""
        found = unknown_code(receipt)
        if found is None:
            return receipt
        self._count(receipt.provider)
        if (receipt.provider, found.code) not in self._shown and len(self._shown) < MAX_SHOWN:
            self._shown.add((receipt.provider, found.code))
            log.warning("%s reports a failure with the unknown code %.80r", receipt.provider, found.code)
        return replace(receipt, status_class="transient") if found.is_status else receipt
