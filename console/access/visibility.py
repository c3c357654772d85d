"""What each role may see of an account: a viewer sees masked numbers and no recipients' texts."""

from __future__ import annotations

from typing import TypeVar

from console.errors import forbidden, not_an_operator
from console.principals import Principal, Role
from console.queries.filters import ListFilter
from console.queries.paging import Page
from console.queries.rows import without_personal

T = TypeVar("T")


def check_operator(principal: Principal) -> Principal:
    """Check that the caller may see data without an account: an admin of every account. Raises ApiError 403."""
    if not principal.is_operator:
        raise not_an_operator()
    return principal


class Sight:
    """Base class of whoever reads an account."""

    __slots__ = ()

    role: Role

    def check_role(self, least: Role) -> None:
        """Check the role in the account. Raises ApiError 403."""
        if self.role < least:
            raise forbidden(least)

    @property
    def sees_numbers(self) -> bool:
        """Whether phone numbers and texts are shown in full."""
        return self.role >= Role.SUPPORT

    def shown(self, row: T) -> T:
        """Return a row as its reader may see it."""
        return row if self.sees_numbers else without_personal(row)

    def page(self, found: Page[T]) -> Page[T]:
        """Return a page of rows as its reader may see them."""
        return Page(tuple(map(self.shown, found.rows)), found.next_cursor)

    def check_search(self, wanted: ListFilter) -> None:
        """Check that callers search only by what they may see, because the answers would reveal it. Raises ApiError
        403."""
        if not self.sees_numbers and any(getattr(wanted, name) is not None for name in wanted.personal):
            raise forbidden(Role.SUPPORT)
