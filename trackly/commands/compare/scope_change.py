"""What `opt_out_scope = "account"` would have removed: for `trackly compare --opt-out-scope`.

Past opt-outs and complaints are read from their events. A person who opted out of one list, and may still be texted
from another, would have been removed from that one too.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accounts.suppression import WHOLE_ACCOUNT, effective_state, unrecorded
from bus.reading.topic import Start
from bus.settings import BusSettings
from bus.tables.store import RocksStore
from schemas.codec import CodecError
from schemas.numbering import canonical
from schemas.records import RemovedEvent, UnsubscribeEvent
from trackly.commands.compare.comparison import masked_number
from trackly.commands.contact.export import gather, recorded_in
from trackly.decoding import Decoder
from trackly.progress import Progress
from trackly.reading import account_named, open_topic, read_accounts

Wishes = Mapping[str, Collection[str]]
"""Lists that people opted out of, by number."""


@dataclass(slots=True)
class Reach:
    """The effect of the change on one list: people who opted out of another, and may still be texted from this one."""

    list_number: str
    would_be_removed: int = 0
    examples: list[str] = field(default_factory=list)


def reach(
    wishes: Wishes, lists: Iterable[str], may_be_texted: Callable[[str, str], bool], examples: int = 3
) -> list[Reach]:
    """Return what the change would have removed, list by list, with some masked numbers. `may_be_texted` takes a list
    and a number."""
    found = []
    for listed in sorted(lists):
        each = Reach(listed)
        for number, asked in wishes.items():
            if listed not in asked and may_be_texted(listed, number):
                each.would_be_removed += 1
                if len(each.examples) < examples:
                    each.examples.append(masked_number(number))
        found.append(each)
    return found


def wish_of(event: object, account: str) -> tuple[str, str] | None:
    """Return number and list of an event by which a person of the account opted out, or None."""
    is_wish = isinstance(event, UnsubscribeEvent) or (isinstance(event, RemovedEvent) and event.reason == "complaint")
    if not is_wish or event.account != account or event.list_number is None:  # type: ignore[attr-defined]
        return None
    return canonical(event.phone_number), event.list_number  # type: ignore[attr-defined]


async def scope_change(account: str, start: Start, end: Start, examples: int) -> tuple[int, list[Reach]]:
    """Return how many people opted out in a period, and what the change would have removed. Raises Failed for an
    unknown account."""
    settings = BusSettings()
    decoder = Decoder(settings)
    view = await read_accounts(settings, decoder.codec)
    account_named(view, account)
    wishes: defaultdict[str, set[str]] = defaultdict(set)
    for short in ("unsubscribe", "removed"):
        async with open_topic(settings, settings.catalogue[short].name, start, end=end) as topic:
            progress = Progress(settings.catalogue[short].name, topic.size)
            async for record in topic.rest():
                progress.add(1)
                try:
                    wish = wish_of(decoder.codec.decode(record.value or b""), account)
                except CodecError:
                    continue
                if wish is not None:
                    wishes[wish[0]].add(wish[1])
            progress.end()
    with tempfile.TemporaryDirectory(prefix="trackly-scope-") as directory:
        store = RocksStore(Path(directory) / "contacts")
        try:
            await gather(settings, (f"{account}:".encode(),), store)

            def may_be_texted(listed: str, number: str) -> bool:
                own, whole = (recorded_in(decoder, store, account, each, number) for each in (listed, WHOLE_ACCOUNT))
                return effective_state(own or unrecorded(account, listed, number), whole).active

            return len(wishes), reach(wishes, view.lists_of(account), may_be_texted, examples)
        finally:
            store.close()


def line_of(found: Reach) -> dict[str, Any]:
    """Return a list's findings, as printed by `--json`."""
    return {
        "list_number": found.list_number,
        "would_be_removed": found.would_be_removed,
        "examples": found.examples,
    }
