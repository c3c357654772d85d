"""Field types shared by several routes, with their messages for invalid values."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Header, Path, Request
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from accounts.suppression import ALL_LISTS
from accounts.urls import check_web_address
from console.errors import validation_failed
from hours.places import is_state, is_zone
from providers import PROVIDERS
from providers.numbers import NotANumber, is_unclear, may_lack_country, to_number
from schemas.numbering import user_id_of

MAX_BATCH = 1_000
"""Maximum items of one request."""


MAX_UNKNOWN, MAX_MEMBERS = 10, 100
"""Maximum unknown fields of an object that are reported, and maximum members of an object with free names."""


class Body(BaseModel):
    """A JSON object with the named fields and no others."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _not_too_many(cls, value: Any) -> Any:
        # Each one costs a sentence in the answer.
        if isinstance(value, dict):
            if len(value) > len(cls.model_fields) + MAX_UNKNOWN:
                raise ValueError("has too many unknown fields")
            if any(isinstance(each, dict) and len(each) > MAX_MEMBERS for each in value.values()):
                raise ValueError(f"has an object of more than {MAX_MEMBERS} fields")
        return value


class StrictBody(Body):
    """The same without coercion: 1 is not true."""

    model_config = ConfigDict(extra="forbid", strict=True)


_DIGITS = frozenset("+0123456789")
_TEN_DIGITS = len("+8005551234")


def number(text: str) -> str:
    """Return a number in E.164; short codes and WhatsApp user ids are unchanged. Raises ValueError.

    A number whose country is not certain is refused: read as another country's, it would be another contact.
    """
    try:
        # No id begins with a digit or a plus.
        found = to_number(text) if text[:1] in _DIGITS else user_id_of(text) or to_number(text)
    except NotANumber:
        raise ValueError("is not a valid phone number; write it as +18005551234") from None
    # A number in E.164 of any other length is certain, and the most frequent case.
    if (found != text or len(found) == _TEN_DIGITS) and _lacks_country(text, found):
        raise ValueError("may lack its country code; write it as +18005551234")
    return found


def _lacks_country(text: str, found: str) -> bool:
    return found[0] == "+" and (may_lack_country(text) or is_unclear(found))


def list_or_all(text: str) -> str:
    """Return a list's number, or `all` for every list. Raises ValueError."""
    return ALL_LISTS if text.lower() == ALL_LISTS else number(text)


def _provider(text: str) -> str:
    if text not in PROVIDERS:
        raise ValueError(f"is not a known provider; known are {', '.join(PROVIDERS)}")
    return text


def _web_address(text: str) -> str:
    check_web_address(text)
    return text


def _time_zone(text: str) -> str:
    if not is_zone(text):
        raise ValueError("is not a time zone; write an IANA name, such as America/New_York")
    return text


def _state(text: str) -> str:
    state = text.upper().removeprefix("US-")
    if not is_state(state):
        raise ValueError("is not a U.S. state; write two letters, such as TX")
    return state


def _time(value: object) -> datetime:
    """Pydantic's own parser also accepts numbers, which could be seconds or milliseconds."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError("is not a time with a zone; write it as 2026-11-20T10:15:00Z")
    return time


def examples(*values: Any) -> Any:
    """Return a field with examples for the OpenAPI document."""
    return Field(examples=list(values))


async def without_body(request: Request) -> None:
    """Refuse a body for a route that takes filters from the query: ignoring filters in a body would select everything.

    Raises ApiError 422.
    """
    if (await request.body()).strip() not in (b"", b"{}"):
        raise validation_failed(["body: must be empty; write the filters into the query, such as ?since=24h"])


IfMatch = Annotated[
    str | None,
    Header(max_length=100, description="The ETag that you have read: if the current one differs, nothing is changed."),
]
RowId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The row's `id`, from its list.", examples=[1])]
Number = Annotated[str, StringConstraints(min_length=3, max_length=40), AfterValidator(number)]
ListOrAll = Annotated[str, StringConstraints(min_length=3, max_length=40), AfterValidator(list_or_all)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Item = Annotated[str, StringConstraints(max_length=200)]
"""An element of a list of texts: a name, an id, a duration."""
Secret = Annotated[str, StringConstraints(max_length=4_000)]
Provider = Annotated[str, AfterValidator(_provider)]
TimeZone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_time_zone)]
State = Annotated[str, StringConstraints(max_length=5), AfterValidator(_state)]
Time = Annotated[AwareDatetime, BeforeValidator(_time)]
WebAddress = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(_web_address)]
