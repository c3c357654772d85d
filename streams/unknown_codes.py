"""Counts failures with a code that no table has, and logs each code once."""

from __future__ import annotations

import logging
from collections.abc import Callable

from providers.codes import unknown_code
from schemas.records import Receipt

log = logging.getLogger(__name__)

MAX_SHOWN = 200
"""Codes that a worker logs, each once. `trackly providers codes` lists them all."""


class UnknownCodes:
    """Examines every receipt. `count` gets the provider of each one with an unknown code."""

    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count
        self._shown: set[tuple[str, str]] = set()

    def look_at(self, receipt: Receipt) -> None:
        """Count the receipt if its code is unknown, and log the code if it is new."""
        code = unknown_code(receipt)
        if code is None:
            return
        self._count(receipt.provider)
        if (receipt.provider, code) not in self._shown and len(self._shown) < MAX_SHOWN:
            self._shown.add((receipt.provider, code))
            log.warning("%s reported a failure with the unknown code %.80r", receipt.provider, code)
