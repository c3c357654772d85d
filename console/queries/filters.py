"""Filters of lists. Their fields are parameters of the API's URLs and of the pages' URLs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from sqlalchemy import ColumnElement, Connection, Table

from bus.clock import now_ms
from console.errors import validation_failed
from console.queries.paging import DEFAULT_LIMIT, MAX_LIMIT, Ask, Page, RowSource, newest
from providers.numbers import NotANumber, as_north_american, to_number
from schemas.numbering import spellings, user_id_of
from schemas.topics import parse_duration

T = TypeVar("T")

LAST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, the latest time that can be formatted."""

_NUMBERS = ("number", "list_number")
"""Columns of numbers, which may be searched for in any notation."""


class ListFilter(BaseModel):
    """The filter shared by all lists. Fields in `columns()` are compared with the columns of that name.

    `personal` are the fields that only callers who see numbers may search by; `known` are all values that a field can
    have, so that a misspelled one is refused and not answered with nothing.
    """

    personal: ClassVar[tuple[str, ...]] = ()
    known: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    model_config = ConfigDict(extra="forbid", frozen=True)

    account: str | None = Field(
        default=None, max_length=64, description="Account ID. Needed only if you may see several accounts."
    )
    since: str | None = Field(
        default=None,
        max_length=40,
        description="Begin at this time, or this long ago: 2026-11-20T10:15:00Z, 24h, 7d.",
        examples=["24h"],
    )
    until: str | None = Field(
        default=None,
        max_length=40,
        description="End before this time, or this long ago.",
        examples=["2026-11-20T10:15:00Z"],
    )
    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the previous page.")
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="Rows per page.")

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, values: Any) -> Any:
        # A form sends empty fields too, and the page after a form gets a message to show: `notice`.
        if not isinstance(values, dict):
            return values
        return {
            name: [each for each in value if each != ""] if isinstance(value, list) else value
            for name, value in values.items()
            if name != "notice" and (name == "limit" or value not in ("", [""]))
        }

    @field_validator("since", "until")
    @classmethod
    def _is_time(cls, value: str | None) -> str | None:
        if value is not None:
            millis_of(value, 0)
        return value

    @field_validator("*")
    @classmethod
    def _is_known(cls, value: Any, info: ValidationInfo) -> Any:
        known = cls.known.get(info.field_name or "")
        if value is not None and known is not None and value not in known:
            raise ValueError(f"is not one of {', '.join(known)}")
        return value

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Fields that are columns of the table."""
        return tuple(name for name in cls.model_fields if name not in ListFilter.model_fields)

    @property
    def chosen(self) -> tuple[tuple[str, str], ...]:
        """The filters that are set, each with its field, without the cursor: for links."""
        return tuple(
            (name, str(each))
            for name, value in self.model_dump(exclude={"cursor", "account"}, exclude_defaults=True).items()
            for each in (value if isinstance(value, tuple) else (value,))
        )

    def conditions(self, table: Table, time_column: str, account: str) -> list[ColumnElement[bool]]:
        """Return the conditions for rows."""
        found = [table.c.account == account]
        for name in self.columns():
            value = getattr(self, name)
            if value is not None:
                column = table.c[name]
                # Rows have numbers as received.
                found.append(column.in_(searched(value)) if name in _NUMBERS else column == value)
        return [*found, *self.times(table.c[time_column])]

    def times(self, column: ColumnElement[int]) -> Iterator[ColumnElement[bool]]:
        """Return the conditions for a row's time."""
        now = now_ms()
        if self.since is not None:
            yield column >= millis_of(self.since, now)
        if self.until is not None:
            yield column < millis_of(self.until, now)

    def ask(self, account: str) -> Ask:
        """Return the requested page."""
        question = f"{type(self).__name__} {account} {sorted(self.chosen)}"
        return Ask(question, self.cursor, self.limit)


def searched(number: str) -> tuple[str, ...]:
    """Return the spellings of a searched number, in any notation; other texts are returned unchanged.

    Ten digits may be a North American number without its 1, so they are searched for as that too.
    """
    user_id = user_id_of(number)
    try:
        found = spellings(user_id or to_number(number))
    except NotANumber:
        found = (number,)
    american = None if user_id else as_north_american(number)
    return found if american is None else (*found, *spellings(american))


def listed(connection: Connection, account: str, wanted: ListFilter, source: RowSource[T]) -> Page[T]:
    """Return the requested page of an account's items. Raises BadCursor."""
    where = wanted.conditions(source.table, source.time, account)
    return newest(connection, source, where, wanted.ask(account))


def checked_time(field: str, text: str, now: int) -> int:
    """Return `millis_of` of a field. Raises ApiError 422 that names the field."""
    try:
        return millis_of(text, now)
    except ValueError as error:
        raise validation_failed([f"{field}: {error}"]) from None


def millis_of(text: str, now: int) -> int:
    """Parse a time with a zone, or a duration before `now`, into milliseconds. Raises ValueError."""
    try:
        return max(0, now - parse_duration(text))
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    millis = -1 if at is None or at.tzinfo is None else int(at.timestamp() * 1000)
    if not 0 <= millis <= LAST_MS:
        raise ValueError(
            "is neither a time with a zone nor a duration; write 2026-11-20T10:15:00Z, or 24h for a day ago"
        )
    return millis
