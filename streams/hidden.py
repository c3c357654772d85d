"""An erased number. Of records from before its erasure, only a removal is kept, under the number's pseudonym.

The number may have come back since, as that of somebody else or of the same person. A wish not to be texted from before
the erasure reaches it, too: the number may be new, but the provider's clock may as well be behind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from bus.worker.batch import Batch
from schemas.records import ContactState
from streams.erasure import remains_of
from streams.recipient import JudgeOf, Origin, Recipient, Shared
from streams.row import ContactRow
from streams.rules import ContactChange, Event


class ComeBack(Recipient):
    """A number that may have come back since its erasure: only rows under the number itself are touched."""

    __slots__ = ()

    def _counts_on(self, list_number: str | None) -> bool:
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

    @property
    def reached(self) -> tuple[Recipient, ...]:
        return (self,) if self._come_back is None else (self, self._come_back)

    def send(self, events: Iterable[Event | ContactState]) -> None:
        super().send(event for event in events if isinstance(event, ContactState))

    def _keeps(self, known: ContactRow | None, after: ContactRow) -> bool:
        return remains_of(after) != remains_of(known)

    def _pseudonym(self) -> None:
        return None

    def _braked(self, list_number: str | None, judge_of: JudgeOf, rule: Callable[..., ContactChange]) -> None:
        # A brake decides about people whose data there are.
        self.update(list_number, rule)
