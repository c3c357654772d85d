"""A pause changes one thing about an endpoint, and only if its settings are still those that it was based on."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from accounts.model import Accounts
from accounts.pauses import pause_of, settings_id
from schemas.records import EndpointConfig

OLD = EndpointConfig(
    account="acme", id="crm", url="https://old.example.com/hook", secret="whsec_old", events=("reply",)
)
NEW = replace(OLD, url="https://new.example.com/hook", secret="whsec_new")
PAUSE = pause_of(OLD, "failing", 7)
PAUSED = replace(OLD, enabled=False, paused_reason="failing", paused_at=7)


@pytest.mark.parametrize(
    ("records", "stands"),
    [
        ((OLD, PAUSE), PAUSED),
        ((OLD, NEW, PAUSE), NEW),
        ((OLD, PAUSE, NEW), NEW),
        ((OLD, PAUSE, OLD), OLD),
        ((PAUSE, OLD), OLD),
        ((OLD, PAUSE, PAUSED), PAUSED),
        ((OLD, PAUSE, replace(PAUSED, url=NEW.url)), replace(PAUSED, url=NEW.url)),
        ((replace(OLD, enabled=False), PAUSE), replace(OLD, enabled=False)),
        ((PAUSE,), None),
    ],
    ids=[
        "it holds for what it judged",
        "not for what was written meanwhile",
        "what is written later ends it",
        "a resumption too",
        "what compaction left of an earlier one does nothing",
        "written as settings, it stays",
        "a change of a paused endpoint keeps it paused",
        "one that its owner switched off stays so",
        "an endpoint that does not exist",
    ],
)
def test_which_settings_stand_after(records: tuple[EndpointConfig, ...], stands: EndpointConfig | None) -> None:
    accounts = Accounts()
    for record in records:
        accounts.put(record)
    assert accounts.endpoints.get("acme/crm") == stands
    assert accounts.endpoints_of("acme") == (() if stands is None else (stands,))


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"url": "https://new.example.com/hook"}, False),
        ({"secret": "whsec_new"}, False),
        ({"headers": {"X-Key": "1"}}, False),
        ({"rate_limit": 5.0}, False),
        ({"description": ""}, True),
    ],
)
def test_settings_are_named_by_what_they_say(changes: dict[str, object], same: bool) -> None:
    assert (settings_id(replace(OLD, **changes)) == settings_id(OLD)) is same  # type: ignore[arg-type]
