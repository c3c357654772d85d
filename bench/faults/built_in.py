"""One service with a fault built in: `python -m bench.faults.built_in SERVICE` is `trackly SERVICE`, but armed faults
happen at steps of its work.

A fault is armed by a file, named by the environment variable in `FILE`. The file is removed when the fault happens, or
when its time is over, so that the next start of the service is sound. The services know nothing of this: their steps
are wrapped here before they run.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Any

FILE = "TRACKLY_BENCH_FAULT_FILE"
"""Environment variable: the file that arms faults."""

CLOCK = "TRACKLY_BENCH_CLOCK"
"""Environment variable: `SECONDS UNTIL`, how far the wall clock is ahead, and until when on the monotonic clock."""

MODULE = "bench.faults.built_in"


@dataclass(frozen=True)
class Fault:
    """What happens when a step is reached for the `nth` time since the fault was armed.

    `does`: `kill` (SIGKILL to itself), `fence`, or one of ERRORS. `seconds`: for how long it keeps happening; 0: once.
    """

    step: str
    nth: int = 1
    does: str = "kill"
    seconds: float = 0.0

    def arm(self, path: Path) -> None:
        """Arm it in the service that reads this file."""
        text = json.dumps({**asdict(self), "until": time.monotonic() + self.seconds})
        new = path.with_suffix(".new")
        new.write_text(text)
        new.replace(path)


class Faults:
    """The fault armed for this process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._passed: Counter[str] = Counter()

    def due(self, step: str) -> str | None:
        """Return the fault that must happen at a step reached now, if any."""
        try:
            armed = json.loads(self._path.read_text())
        except FileNotFoundError:
            return None
        if armed["step"] != step:
            return None
        self._passed[step] += 1
        if self._passed[step] < armed["nth"]:
            return None
        if not armed["seconds"] or time.monotonic() > armed["until"]:
            self._path.unlink()
            self._passed.clear()
        if armed["seconds"] and time.monotonic() > armed["until"]:
            return None
        return str(armed["does"])

    def reached(self, step: str) -> None:
        """End this process if that must happen at this step."""
        if self.due(step) == "kill":
            os.kill(os.getpid(), signal.SIGKILL)


_step: ContextVar[tuple[str, int] | None] = ContextVar("step", default=None)
"""The stage and number of the step that this task takes: a batch's first one sends its events."""


def _build_into_batches(faults: Faults) -> None:
    """Steps of a batch, `STAGE: ...`: amid events, after events, before the store, after changelog."""
    from bus.producer import Producer
    from bus.tables.store import RocksStore
    from bus.worker.batch import Batch, Step

    steps, send_batch, write_store = Batch.steps, Producer.send_batch, RocksStore.write

    def taken(stage: str, number: int, step: Step, *, is_first: bool, is_last: bool) -> Step:
        async def take() -> None:
            if is_first and number:
                faults.reached(f"{stage}: after events")
            told = _step.set((stage, number))
            try:
                await step()
            finally:
                _step.reset(told)
            if not number:
                faults.reached(f"{stage}: after events")
            elif is_last:
                faults.reached(f"{stage}: after changelog")

        return take

    def batch_steps(batch: Batch) -> list[Step | None]:
        found = steps(batch)
        some = [number for number, step in enumerate(found) if step is not None]
        return [
            None
            if step is None
            else taken(batch._stage, number, step, is_first=number == some[0], is_last=number == some[-1])
            for number, step in enumerate(found)
        ]

    async def batch_sent(producer: Producer, *arguments: Any) -> int:
        last = await send_batch(producer, *arguments)
        stage, number = _step.get() or ("", 1)
        if not number and (does := faults.due(f"{stage}: amid events")):
            # This partition's are written, and perhaps those of others are not.
            assert does == "kill"
            os.kill(os.getpid(), signal.SIGKILL)
        return last

    def store_written(store: RocksStore, rows: Any, offset: int | None) -> None:
        if (step := _step.get()) is not None:
            name = f"{step[0]}: before the store"
            if (does := faults.due(name)) is not None:
                if does == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise store._failed(Exception(ERRORS[does]))
        write_store(store, rows, offset)

    _put(Batch, "steps", batch_steps)
    _put(Producer, "send_batch", batch_sent)
    _put(RocksStore, "write", store_written)


ERRORS = {
    "no space": "IO error: No space left on device: While appending to file",
    "damage": "Corruption: block checksum mismatch",
}
"""RocksDB's messages."""


def _build_into_store(faults: Faults) -> None:
    """`streams: a read of a row`."""
    from bus.tables.store import RocksStore

    get = RocksStore.get

    def got(store: RocksStore, key: bytes) -> bytes | None:
        if does := faults.due("streams: a read of a row"):
            raise store._failed(Exception(ERRORS[does]))
        return get(store, key)

    _put(RocksStore, "get", got)


def _build_into_producer(faults: Faults, service: str) -> None:
    """`SERVICE: a send`, before which the producer may be fenced: the broker has seen its id with a later epoch and
    refuses its records. The producer is not told.
    """
    from aiokafka.producer.transaction_manager import PidAndEpoch

    from bus.producer import Producer

    def fenced(send: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @wraps(send)
        async def sent(producer: Producer, *arguments: Any, **options: Any) -> Any:
            if faults.due(f"{service}: a send") == "fence":
                numbers = producer._producer._txn_manager
                numbers._pid_and_epoch = PidAndEpoch(numbers.producer_id, numbers.producer_epoch - 1)
            return await send(producer, *arguments, **options)

        return sent

    _put(Producer, "send", fenced(Producer.send))
    _put(Producer, "send_batch", fenced(Producer.send_batch))


def _set_clock(seconds: float, until: float) -> None:
    """Set this process's wall clock ahead by some seconds until a moment (monotonic), including records it sends."""
    from aiokafka.producer.message_accumulator import BatchBuilder

    now, now_ns, append = time.time, time.time_ns, BatchBuilder.append

    def off() -> float:
        return seconds if time.monotonic() < until else 0.0

    def appended(builder: Any, *, timestamp: int | None, **record: Any) -> Any:
        return append(builder, timestamp=int(time.time() * 1_000) if timestamp is None else timestamp, **record)

    time.time = lambda: now() + off()
    time.time_ns = lambda: now_ns() + int(off() * 1e9)
    _put(BatchBuilder, "append", appended)


def _build_into_offsets(faults: Faults, service: str) -> None:
    """`SERVICE: before offsets` and `SERVICE: after offsets`."""
    from bus.worker.consumer import _Thread

    _surround(faults, _Thread, "_commit", f"{service}: before offsets", f"{service}: after offsets")


def _surround(faults: Faults, owner: Any, name: str, before: str, after: str) -> None:
    do: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def done(*arguments: Any, **options: Any) -> Any:
        faults.reached(before)
        result = await do(*arguments, **options)
        faults.reached(after)
        return result

    _put(owner, name, done)


def _put(owner: Any, name: str, method: Callable[..., Any]) -> None:
    """Replace a class's method, or a module's function."""
    setattr(owner, name, wraps(getattr(owner, name))(method))


def _build_into_sinks(faults: Faults) -> None:
    """`sinks: after the answer`, before it is processed; `sinks: after the retry is written`, before it is settled;
    `sinks: after the release` of due webhooks, before its offset.
    """
    from sinks.webhooks import delay_tiers
    from sinks.webhooks.outbox import Outbox
    from sinks.webhooks.sink import WebhookSink

    attempted, acknowledged = WebhookSink.attempted, Outbox._acknowledged

    def was_attempted(*arguments: Any) -> None:
        faults.reached("sinks: after the answer")
        attempted(*arguments)

    def was_acknowledged(*arguments: Any) -> None:
        faults.reached("sinks: after the retry is written")
        acknowledged(*arguments)

    _put(WebhookSink, "attempted", was_attempted)
    _put(Outbox, "_acknowledged", was_acknowledged)
    _surround(
        faults, delay_tiers, "commit_what_is_mine", "sinks: after the release", "sinks: after the offset of a release"
    )


def _build_into_ingest(faults: Faults) -> None:
    """`ingest: before the record`, and `ingest: before the answer`, when the record is acknowledged."""
    from ingest.writer import CallbackWriter

    _surround(faults, CallbackWriter, "write", "ingest: before the record", "ingest: before the answer")


def _build_into_read_model(faults: Faults) -> None:
    """`read-model: before the positions`, when the rows are written, and `read-model: after the commit` of both."""
    from database.read_state import move_positions
    from readmodel import service

    store = service.ReadModel._store

    def moved(*arguments: Any) -> None:
        faults.reached("read-model: before the positions")
        move_positions(*arguments)

    def stored(model: Any, *arguments: Any) -> None:
        store(model, *arguments)
        faults.reached("read-model: after the commit")

    _put(service, "move_positions", moved)
    _put(service.ReadModel, "_store", stored)


def main() -> None:
    """Run the service that the first argument names."""
    service = sys.argv[1]
    faults = Faults(Path(os.environ[FILE]))
    if CLOCK in os.environ:
        # Before any import that copies the clock.
        seconds, until = map(float, os.environ[CLOCK].split())
        _set_clock(seconds, until)
    _build_into_producer(faults, service)
    match service:
        case "ingest":
            _build_into_ingest(faults)
        case "read-model":
            _build_into_read_model(faults)
        case "sinks":
            _build_into_sinks(faults)
            _build_into_offsets(faults, service)
        case "streams":
            _build_into_batches(faults)
            _build_into_store(faults)
            _build_into_offsets(faults, service)
    from trackly.cli import main as trackly

    trackly()


if __name__ == "__main__":
    main()
