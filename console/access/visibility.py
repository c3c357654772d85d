"""What somebody may see of an account, by role: a viewer sees numbers masked, and no texts of recipients."""

from __future__ import annotations

from typing import TypeVar

from console.errors import forbidden, not_an_operator
from console.principals import Principal, Role
from console.queries.filters import ListFilter
from console.queries.paging import Page
from console.queries.rows import without_personal

T = TypeVar("T")


def check_operator(principal: Principal) -> Principal:
    """Who may see what belongs to no account: an admin of every one. Raises ApiError 403 for others."""
    if not principal.is_operator:
        raise not_an_operator()
    return principal


class Sight:
    """Base of whoever reads an account."""

    __slots__ = ()

    role: Role

    def check_role(self, least: Role) -> None:
        """Raise ApiError 403 where the role in the account is too low."""
        if self.role < least:
            raise forbidden(least)

    @property
    def sees_numbers(self) -> bool:
        """Whether phone numbers and texts are shown whole."""
        return self.role >= Role.SUPPORT

    def shown(self, row: T) -> T:
        """A row as its reader may see it."""
        return row if self.sees_numbers else without_personal(row)

    def page(self, found: Page[T]) -> Page[T]:
        """A page of rows as its reader may see them."""
        return Page(tuple(map(self.shown, found.rows)), found.next_cursor)

    def check_search(self, wanted: ListFilter) -> None:
        """Raise ApiError 403 where somebody searches for what they may not see: answers would tell it."""
        if not self.sees_numbers and any(getattr(wanted, name) is not None for name in wanted.personal):
            raise forbidden(Role.SUPPORT)
