"""What today's rules make of callbacks, beside what was made of them then. No I/O.

An item of a callback has the same id whenever it is read, so what was written then is found by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from providers import PROVIDERS
from providers.base import Malformed, Unreadable
from schemas.ids import derived_id
from schemas.pii import kind_of
from schemas.records import RawCallback, Record, RejectedRecord

UNREAD_ITEMS = 100
"""Items of a callback that are looked for where today's rules read none of it: more were not sent in one."""

Place = tuple[int, int]
"""Partition and offset of a callback in `sms.raw`."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of difference: what was written then, what would be now, and in which fields they differ.

    `then` and `now` are a record's name, `rejected: REASON`, or `nothing`.
    """

    then: str
    now: str
    fields: tuple[str, ...] = ()


@dataclass(slots=True)
class Difference:
    """How often a kind was found, with some examples: event id, and the values of the differing fields, masked."""

    kind: Kind
    count: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


class Comparison:
    """Takes callbacks, then what was written; `finish` says how the two differ.

    `items` is how many items today's rules find in the callbacks so far.
    """

    def __init__(self, raw_topic: str, examples: int = 3) -> None:
        self._raw_topic = raw_topic
        self._examples = examples
        self._items: dict[str, Record | Malformed | None] = {}
        self._callbacks: dict[Place, str] = {}
        self._then: set[str] = set()
        self._differences: dict[Kind, Difference] = {}
        self.callbacks = 0
        self.items = 0
        self.same = 0

    def add_callback(self, place: Place, callback: RawCallback) -> None:
        """Read a callback by today's rules."""
        self.callbacks += 1
        self._callbacks[place] = callback.event_id
        whole = _whole(callback.event_id)
        try:
            provider = PROVIDERS.get(callback.provider)
            if provider is None:
                raise Unreadable("unknown_provider", f"{callback.provider!r} is no provider that trackly knows")
            items: Sequence[Any] = list(provider.read(callback))
        except Unreadable as error:
            self._put(whole, Malformed(error.reason, str(error), ""))
            items = []
        for index in range(len(items) or UNREAD_ITEMS):
            self._put(derived_id(callback.event_id, index), items[index] if items else None)

    def is_of_these(self, event_id: str) -> bool:
        """Whether an id is one of an item of the callbacks that were added."""
        return event_id in self._items

    def add_written(self, record: Any) -> None:
        """Compare a record that was written then: once, however often it comes, if it is of one of the callbacks."""
        event_id = self._id_of(record)
        if event_id is None or event_id in self._then:
            return
        self._then.add(event_id)
        now: Any = self._items.get(event_id)
        differing: tuple[str, ...] = ()
        if type(now) is type(record):
            differing = tuple(f.name for f in fields(record) if getattr(record, f.name) != getattr(now, f.name))
        if _name(record) == _name(now) and not differing:
            self.same += 1
            return
        values = {name.rstrip("_"): [_masked(record, name), _masked(now, name)] for name in differing}
        self._note(Kind(_name(record), _name(now), tuple(values)), event_id, values)

    def finish(self) -> list[Difference]:
        """What was not written then counts as new; all kinds of difference, the most frequent first."""
        for event_id, now in self._items.items():
            if now is not None and event_id not in self._then:
                self._note(Kind("nothing", _name(now)), event_id)
        return sorted(self._differences.values(), key=lambda d: (-d.count, str(d.kind)))

    def _put(self, event_id: str, item: Record | Malformed | None) -> None:
        # A callback that comes again has the same ids.
        self.items += (item is not None) - (self._items.get(event_id) is not None)
        self._items[event_id] = item

    def _id_of(self, record: Any) -> str | None:
        """The item's id that a record was written for, or None where it is of no callback that was added."""
        if not isinstance(record, RejectedRecord):
            return record.event_id if record.event_id in self._items else None
        callback = self._callbacks.get((record.source_partition, record.source_offset))
        if callback is None or record.source_topic != self._raw_topic:
            return None
        event_id = _whole(callback) if record.item_index is None else derived_id(callback, record.item_index)
        self._items.setdefault(event_id, None)
        return event_id

    def _note(self, kind: Kind, event_id: str, values: Mapping[str, Any] | None = None) -> None:
        difference = self._differences.setdefault(kind, Difference(kind))
        difference.count += 1
        if len(difference.examples) < self._examples:
            difference.examples.append({"event_id": event_id, **({"fields": dict(values)} if values else {})})


def masked_number(number: str) -> str:
    """A number that tells the country and nobody's name: `+15…01`."""
    return f"{number[:3]}…{number[-2:]}" if len(number) > 6 else "…"


def lines_of(differences: Sequence[Difference]) -> Iterator[dict[str, Any]]:
    """An object for each kind of difference, as `--json` prints it."""
    for difference in differences:
        yield {
            "then": difference.kind.then,
            "now": difference.kind.now,
            "fields": list(difference.kind.fields),
            "count": difference.count,
            "examples": difference.examples,
        }


def _whole(callback: str) -> str:
    return derived_id(callback, "record")


def _name(item: Any) -> str:
    if item is None:
        return "nothing"
    if isinstance(item, Malformed | RejectedRecord):
        return f"rejected: {item.reason}"
    return type(item).__name__


def _masked(record: Any, name: str) -> Any:
    """A field's value as an example may show it: numbers masked, what people wrote not at all."""
    value = getattr(record, name)
    kind = kind_of(type(record).__name__, name.rstrip("_"))
    if value is None or kind in (None, "reference"):
        return list(value) if isinstance(value, tuple) else value
    return masked_number(value) if kind == "number" else "(hidden)"
