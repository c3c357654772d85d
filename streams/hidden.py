"""An erased number. Of records from before its erasure, only a removal is kept, under the number's pseudonym.

The number may have come back since, as that of somebody else or of the same person. A wish not to be texted from before
the erasure reaches it, too: the number may be new, but the provider's clock may as well be behind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from bus.worker.batch import Batch
from schemas.records import ContactState
from streams.erasure import remains_of
from streams.message_row import MessageRow, Removal
from streams.recipient import JudgeOf, Origin, Recipient, Rule, Shared
from streams.row import ContactRow
from streams.rules import ContactChange, Event
from streams.rules.receipts import MessageChange


class ComeBack(Recipient):
    """A number that may have come back since its erasure: only rows under the number itself are touched."""

    __slots__ = ()

    def _reaches(self, list_number: str | None) -> bool:
        return self.is_recorded(list_number)


class Hidden(Recipient):
    """The pseudonym of an erased number: only a removal is kept and reported, without events.

    Wishes reach `come_back` as well, which decides on which lists its person has consented since. Without it, they
    reach the pseudonym alone.
    """

    __slots__ = ("_come_back",)

    is_erased = True

    def __init__(
        self,
        batch: Batch,
        shared: Shared,
        origin: Origin,
        account: str,
        pseudonym: str,
        lists: Collection[str],
        come_back: ComeBack | None = None,
    ) -> None:
        super().__init__(batch, shared, origin, account, pseudonym, lists)
        self._come_back = come_back

    def consented_since(self, at: int) -> list[str]:
        return super().consented_since(at) if self._come_back is None else self._come_back.consented_since(at)

    def remove(self, list_number: str | None, rule: Rule) -> None:
        super().remove(list_number, rule)
        if self._come_back is not None:
            self._come_back.remove(list_number, rule)

    def count(
        self,
        change: MessageChange,
        list_number: str | None,
        threshold: int,
        is_everywhere: Callable[[Removal], bool],
        judge_of: JudgeOf,
    ) -> MessageRow:
        after = super().count(change, list_number, threshold, is_everywhere, judge_of)
        if self._come_back is not None:
            self._come_back.count(change, list_number, threshold, is_everywhere, judge_of)
        return after

    def send(self, events: Iterable[Event | ContactState]) -> None:
        super().send(event for event in events if isinstance(event, ContactState))

    def _keeps(self, known: ContactRow | None, after: ContactRow) -> bool:
        return remains_of(after) != remains_of(known)

    def _pseudonym(self) -> None:
        return None

    def _braked(self, list_number: str | None, judge_of: JudgeOf, rule: Callable[..., ContactChange]) -> None:
        # A brake decides about people whose data there are.
        self.update(list_number, rule)
