"""The answer of every list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from console.access.callers import Caller
from console.queries.paging import Page

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ListAnswer(Generic[T]):
    """One page of a list; `next_cursor` is null on the last one."""

    data: list[T]
    next_cursor: str | None


def answer(caller: Caller, found: Page[T]) -> ListAnswer[T]:
    """Return a page of rows as the caller may see them."""
    return ListAnswer(list(caller.page(found).rows), found.next_cursor)
