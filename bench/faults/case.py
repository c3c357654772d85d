"""Cases of the fault bench, and their results."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from bench.faults.house import House, running
from bench.faults.ledger import Books


@dataclass(frozen=True)
class Result:
    """The result of one case. `trouble`: why it has no books, or what else is wrong."""

    case: str
    seed: int
    seconds: float
    books: Books
    trouble: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything is right."""
        return self.books.ok and not self.trouble

    def figures(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "case": self.case,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            **self.books.figures(),
            "trouble": self.trouble,
            "ok": self.ok,
        }


@dataclass
class Ground:
    """The environment of cases: a broker, a directory, and the seed of everything random."""

    servers: str
    directory: Path
    seed: int
    away: float

    def __post_init__(self) -> None:
        self._houses = count(1)

    def chance(self, case: str) -> random.Random:
        """Return the randomness of one case: the same for a seed, whichever other cases run."""
        return random.Random(f"{self.seed}/{case}")

    def house(self, *services: str, **options: Any) -> AbstractAsyncContextManager[House]:
        """Return a new house (`bench.faults.house.running`)."""
        number = next(self._houses)
        prefix = f"f{secrets.token_hex(3)}."
        servers = options.pop("servers", self.servers)
        return running(servers, self.directory / f"house-{number}", prefix, self.seed, *services, **options)

    async def judged(self, case: str, run: Callable[[], Awaitable[Books]]) -> Result:
        """Run a case. If something does not arrive, or ends unexpectedly, that is its result."""
        began = time.monotonic()
        try:
            found, trouble = await run(), ""
        except (AssertionError, TimeoutError, BaseExceptionGroup) as error:
            found, trouble = Books(), str(error) or type(error).__name__
        return Result(case, self.seed, time.monotonic() - began, found, trouble)


Chapter = Callable[[Ground], AsyncIterator[Result]]
"""Cases that belong together."""
