"""Compares the results of today's rules for callbacks with those written then.

An item's id is the same whenever its callback is read, so it identifies the earlier result. Items wait for their
counterpart in a store, not in memory: a week has more callbacks than fit there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bus.tables.store import Store
from providers import NETWORKS, PROVIDERS
from providers.base import Malformed, Unreadable
from providers.codes import of_account
from schemas.codec import Codec
from schemas.ids import derived_id
from schemas.pii import kind_of
from schemas.records import AccountConfig, RawCallback, Receipt, Record, RejectedRecord

UNREAD_ITEMS = 100
"""Items of a callback to look for if today's rules read none of it: no callback had more."""

Place = tuple[int, int]
"""A callback's partition and offset in `sms.raw`."""

_UNREAD, _MALFORMED, _READ, _SEEN = b"u", b"m", b"r", b"s"
"""First byte of an item's value in the store: today's rules find no item, reject it (the reason follows), or read it
(the record follows); or it has been compared."""

_ITEMS, _PLACES = b"item:", b"place:"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of difference: the result then, the result now, and the fields that differ.

    `then` and `now` are a record's name, `rejected: REASON`, or `nothing`.
    """

    then: str
    now: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """One item: its event id, the kind of difference, the record written then, and the one that today's rules produce.

    `before` and `after` are None if there is no record. For equal ones, only `after` is set.
    """

    event_id: str
    kind: Kind
    before: Record | None
    after: Record | None

    @property
    def verdict(self) -> str:
        """`same`, `changed`, `new`, or `gone`."""
        if self.kind.then == self.kind.now and not self.kind.fields:
            return "same"
        return {"nothing": "gone"}.get(self.kind.now, "new" if self.kind.then == "nothing" else "changed")


class Comparison:
    """Takes all callbacks first, then the earlier results; `rest` returns items without any.

    `items` is the number of items that today's rules have found.
    """

    def __init__(
        self, raw_topic: str, codec: Codec, store: Store, accounts: Mapping[str, AccountConfig] | None = None
    ) -> None:
        self._raw_topic = raw_topic
        self._codec = codec
        self._store = store
        self._accounts = accounts or {}
        self.callbacks = 0
        self.items = 0

    def add_callback(self, place: Place, callback: RawCallback) -> None:
        """Read a callback by today's rules."""
        self.callbacks += 1
        found: dict[str, bytes] = {}
        items: Sequence[Any] = []
        try:
            items = [self._of_account(item) for item in _read(callback)]
        except Unreadable as error:
            found[_whole(callback.event_id)] = _MALFORMED + error.reason.encode()
        for index in range(len(items) or UNREAD_ITEMS):
            found[derived_id(callback.event_id, index)] = self._kept(items[index]) if items else _UNREAD
        # A repeated callback has the same ids.
        known = sum(self._get(event_id)[:1] in (_MALFORMED, _READ) for event_id in found)
        self.items += sum(value != _UNREAD for value in found.values()) - known
        rows: dict[bytes, bytes | None] = {_ITEMS + event_id.encode(): value for event_id, value in found.items()}
        self._store.write({**rows, _place(place): callback.event_id.encode()}, None)

    def _of_account(self, item: Any) -> Any:
        config = self._accounts.get(item.account) if isinstance(item, Receipt) else None
        return item if config is None else of_account(item, config.code_classes)

    def is_of_these(self, event_id: str) -> bool:
        """Whether an id belongs to an item of the added callbacks."""
        return self._get(event_id) != b""

    def add_written(self, value: bytes) -> Compared | None:
        """Compare a record written then, once however often it occurs, if it is from one of the callbacks.

        Raises CodecError for a record that is not ours.
        """
        then: Any = self._codec.decode(value)
        event_id = self._id_of(then)
        kept = b"" if event_id is None else self._get(event_id)
        if event_id is None or kept[:1] == _SEEN:
            return None
        self._store.write({_ITEMS + event_id.encode(): _SEEN}, None)
        if kept == _READ + value:
            name = type(then).__name__
            return Compared(event_id, Kind(name, name), None, then)
        now, name = self._item(kept)
        differing: tuple[str, ...] = ()
        if now is not None and type(now) is type(then):
            differing = tuple(n.rstrip("_") for n in then.__struct_fields__ if _of(then, n) != _of(now, n))
        kind = Kind(_name(then), name, differing)
        is_same = kind.then == kind.now and not differing
        return Compared(event_id, kind, None if is_same else then, now)

    def rest(self) -> Iterator[Compared]:
        """Yield what today's rules find but was not written then."""
        for key, kept in self._store.items():
            if key.startswith(_ITEMS) and kept[:1] in (_MALFORMED, _READ):
                now, name = self._item(kept)
                yield Compared(key.removeprefix(_ITEMS).decode(), Kind("nothing", name), None, now)

    def _get(self, event_id: str) -> bytes:
        return self._store.get(_ITEMS + event_id.encode()) or b""

    def _kept(self, item: Record | Malformed) -> bytes:
        if isinstance(item, Malformed):
            return _MALFORMED + item.reason.encode()
        return _READ + self._codec.encode(item)

    def _item(self, kept: bytes) -> tuple[Record | None, str]:
        """Return the record that today's rules produce, and a description."""
        if kept[:1] == _READ:
            record = self._codec.decode(kept[1:])
            return record, _name(record)
        return None, f"rejected: {kept[1:].decode()}" if kept[:1] == _MALFORMED else "nothing"

    def _id_of(self, record: Any) -> str | None:
        """Return the id of a record's item, or None if it is from none of the added callbacks."""
        if not isinstance(record, RejectedRecord):
            return record.event_id if self.is_of_these(record.event_id) else None
        callback = self._store.get(_place((record.source_partition, record.source_offset)))
        if callback is None or record.source_topic != self._raw_topic:
            return None
        return derived_id(callback.decode(), "record" if record.item_index is None else record.item_index)


@dataclass(slots=True)
class Difference:
    """How often a kind was found, with some examples: event id, and the differing fields' values, masked."""

    kind: Kind
    count: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


class Tally:
    """Counts comparisons, with a few examples of each kind of difference."""

    def __init__(self, examples: int = 3) -> None:
        self._examples = examples
        self._differences: dict[Kind, Difference] = {}
        self.same = 0

    def add(self, compared: Compared) -> None:
        """Count one item."""
        if compared.verdict == "same":
            self.same += 1
            return
        difference = self._differences.setdefault(compared.kind, Difference(compared.kind))
        difference.count += 1
        if len(difference.examples) < self._examples:
            values = {
                name: [_masked(compared.before, name), _masked(compared.after, name)] for name in compared.kind.fields
            }
            difference.examples.append({"event_id": compared.event_id, **({"fields": values} if values else {})})

    @property
    def differences(self) -> list[Difference]:
        """Return all kinds of difference, most frequent first."""
        return sorted(self._differences.values(), key=lambda d: (-d.count, str(d.kind)))


def masked_number(number: str) -> str:
    """Return a number that reveals only the country: `+15…01`."""
    return f"{number[:3]}…{number[-2:]}" if len(number) > 6 else "…"


def lines_of(differences: Sequence[Difference]) -> Iterator[dict[str, Any]]:
    """Return an object for each kind of difference, as printed by `--json`."""
    for difference in differences:
        yield {
            "then": difference.kind.then,
            "now": difference.kind.now,
            "fields": list(difference.kind.fields),
            "count": difference.count,
            "examples": difference.examples,
        }


def _read(callback: RawCallback) -> Iterator[Any]:
    sender = PROVIDERS.get(callback.provider) or NETWORKS.get(callback.provider)
    if sender is None:
        raise Unreadable("unknown_provider", f"{callback.provider!r} is not a known provider or network")
    yield from sender.read(callback)


def _place(place: Place) -> bytes:
    return _PLACES + b"%d/%d" % place


def _whole(callback: str) -> str:
    return derived_id(callback, "record")


def _name(record: Record) -> str:
    return f"rejected: {record.reason}" if isinstance(record, RejectedRecord) else type(record).__name__


def _of(record: Any, name: str) -> Any:
    """Return a field's value as it would be decoded, so that equal maps of different types compare equal."""
    value = getattr(record, name)
    return dict(value) if isinstance(value, Mapping) else value


def _masked(record: Any, name: str) -> Any:
    """Return a field's value for an example: numbers masked, people's texts omitted."""
    value = getattr(record, name, None) if hasattr(record, name) else getattr(record, f"{name}_", None)
    kind = kind_of(type(record).__name__, name)
    if value is None or kind in (None, "reference"):
        return list(value) if isinstance(value, tuple) else value
    return masked_number(value) if kind == "number" else "(hidden)"
