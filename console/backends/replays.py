"""Replay commands and their progress: a compacted topic, followed."""

from __future__ import annotations

from accounts.store import SettingsReader
from bus.settings import BusSettings
from operations.replays import Known
from schemas.codec import Codec
from schemas.records import ReplayCommand, ReplayProgress

TOPIC = "webhooks_replays"


class ReplaysView:
    """Commands and progress by replay id: plain lookups, no I/O."""

    def __init__(self) -> None:
        self._commands: dict[str, ReplayCommand] = {}
        self._progress: dict[str, ReplayProgress] = {}

    def put(self, record: ReplayCommand | ReplayProgress) -> None:
        """Add or replace a command, or its progress."""
        if isinstance(record, ReplayCommand):
            self._commands[record.replay_id] = record
        else:
            self._progress[record.replay_id] = record

    def drop(self, topic: str, key: str) -> None:
        """Remove a command, or its progress, by key."""
        replay_id, _, progress = key.partition("/")
        (self._progress if progress else self._commands).pop(replay_id, None)

    def unreadable(self, topic: str, key: str) -> None:
        """Keep the value read before."""

    def of_account(self, account: str) -> list[Known]:
        """Return the replays of an account's endpoints, newest first."""
        found = [
            Known(command, self._progress.get(command.replay_id))
            for command in self._commands.values()
            if command.endpoint.startswith(f"{account}/")
        ]
        return sorted(found, key=lambda each: each.command.issued_at, reverse=True)

    def one(self, account: str, replay_id: str) -> Known | None:
        """Return a replay of one of an account's endpoints."""
        return next((each for each in self.of_account(account) if each.command.replay_id == replay_id), None)


class ReplaysReader(SettingsReader[ReplaysView]):
    """Follows the replays."""

    def __init__(self, settings: BusSettings, codec: Codec) -> None:
        super().__init__(settings, codec, (TOPIC,), (ReplayCommand, ReplayProgress), ReplaysView())
