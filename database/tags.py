"""Tags: the arguments of messages by which deliveries can be found."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from bus.environment import separated
from bus.settings import BusSettings

MOST_TAGS, NAME_CHARACTERS = 8, 100
"""Maximum arguments that can be tags, and characters of an argument's name."""


class TagSettings(BusSettings):
    """Which arguments are tags: the same for the read model, which stores them, and for consoles."""

    tag_arguments: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("tag",),
        validation_alias="TRACKLY_TAG_ARGUMENTS",
        description="Names of arguments in messages' `unique_args` by which deliveries can be found and exported,"
        f" separated by commas, at most {MOST_TAGS}: campaign,flow. Applies to messages registered from then"
        " on. Must be the same for the read model and for consoles.",
    )

    @field_validator("tag_arguments", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        names = separated(value)
        if not isinstance(names, tuple):
            return value
        if not 1 <= len(names) <= MOST_TAGS:
            raise ValueError(f"names {len(names)} arguments; name 1 to {MOST_TAGS}")
        for name in names:
            if ":" in name or not name.isprintable() or len(name) > NAME_CHARACTERS:
                raise ValueError(
                    f"{name[:NAME_CHARACTERS]!r} has a colon, a control character, or more than {NAME_CHARACTERS}"
                    " characters"
                )
            if names.count(name) > 1:
                raise ValueError(f"names {name!r} twice")
        return names
