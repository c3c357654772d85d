"""Which arguments of messages are tags."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from database.tags import TagSettings


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("campaign", ("campaign",)),
        (" campaign , flow step,", ("campaign", "flow step")),
        ("é" * 100, ("é" * 100,)),
        (",".join("abcdefgh"), tuple("abcdefgh")),
    ],
)
def test_names_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch, given: str, names: tuple[str, ...]) -> None:
    monkeypatch.setenv("TRACKLY_TAG_ARGUMENTS", given)
    assert TagSettings().tag_arguments == names


def test_without_the_setting_the_argument_is_tag() -> None:
    assert TagSettings().tag_arguments == ("tag",)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (",", "names 0 arguments; name 1 to 8"),
        (",".join("abcdefghi"), "names 9 arguments; name 1 to 8"),
        ("a:b", "'a:b' has a colon"),
        ("a" * 101, "more than 100 characters"),
        ("a\tb", "has a colon, a control character"),
        ("flow,campaign,flow", "names 'flow' twice"),
    ],
)
def test_what_cannot_be_a_list_of_tags_is_refused(given: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        TagSettings(tag_arguments=given)
