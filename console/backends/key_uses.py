"""When API keys were last used, in the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from bus.clock import now_ms
from console.backends.database import in_thread
from database.inserts import insert_into
from database.tables import key_uses

log = logging.getLogger(__name__)

WRITE_EVERY_MS = 60_000


class KeyUses:
    """Records when keys were used, at most once a minute each, off the request path."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._written: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, key_id: str) -> None:
        """Note that the key was used now."""
        now = now_ms()
        if now - self._written.get(key_id, 0) >= WRITE_EVERY_MS:
            self._written[key_id] = now
            task = asyncio.create_task(in_thread(self._write, key_id, now))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _write(self, key_id: str, now: int) -> None:
        try:
            with self._engine.begin() as connection:
                row = insert_into(connection, key_uses).values(key_id=key_id, last_used_at=now)
                connection.execute(
                    row.on_conflict_do_update(index_elements=[key_uses.c.key_id], set_={"last_used_at": now})
                )
        except SQLAlchemyError as error:
            log.warning("the use of a key was not recorded: %s", type(error).__name__)


def last_uses(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """Return when each of these keys was last used, in ms, omitting unused ones."""
    rows = connection.execute(select(key_uses).where(key_uses.c.key_id.in_(list(ids))))
    return {row.key_id: row.last_used_at for row in rows}
