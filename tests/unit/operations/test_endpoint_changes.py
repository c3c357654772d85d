from __future__ import annotations

import pytest
from msgspec.structs import replace

from operations.endpoints import OPERATOR, ChangeRefused, UnderWay, activated, paused, resumed, rotated, state_of
from schemas.records import EndpointConfig

NOW = 1_795_000_000_000
HOUR = 3_600_000
ACTIVE = EndpointConfig(
    account="acme", id="crm", url="https://crm.example.com", secret="env:CRM_SECRET", events=("delivery",)
)
DISABLED = replace(ACTIVE, enabled=False)
PAUSED = replace(ACTIVE, enabled=False, paused_reason="failing", paused_at=NOW - HOUR)
ROTATING = replace(ACTIVE, secret_next="env:NEXT", secret_next_at=NOW + HOUR)


@pytest.mark.parametrize(
    ("config", "state"), [(ACTIVE, "active"), (DISABLED, "disabled"), (PAUSED, "paused"), (ROTATING, "active")]
)
def test_an_endpoint_has_one_of_three_states(config: EndpointConfig, state: str) -> None:
    assert state_of(config) == state


def test_a_pause_says_who_ordered_it_and_when() -> None:
    found = paused(ACTIVE, NOW)
    assert (found.enabled, found.paused_reason, found.paused_at) == (False, OPERATOR, NOW)


def test_a_pause_keeps_the_reason_and_time_of_one_before() -> None:
    assert paused(PAUSED, NOW) == PAUSED


def test_a_resumed_endpoint_is_as_before_its_pause() -> None:
    assert resumed(paused(ACTIVE, NOW)) == ACTIVE
    assert resumed(PAUSED) == ACTIVE


def test_what_its_settings_disable_is_neither_paused_nor_resumed() -> None:
    with pytest.raises(ChangeRefused, match="acme/crm is already disabled by its settings"):
        paused(DISABLED, NOW)
    with pytest.raises(ChangeRefused, match="enabled = true"):
        resumed(DISABLED)


def test_a_rotation_keeps_the_present_secret_for_its_overlap() -> None:
    found = rotated(ACTIVE, "env:NEXT", HOUR, NOW)
    assert (found.secret, found.secret_next, found.secret_next_at) == ("env:CRM_SECRET", "env:NEXT", NOW + HOUR)


def test_a_rotation_without_overlap_is_over_at_once() -> None:
    assert rotated(ACTIVE, "env:NEXT", 0, NOW) == replace(ACTIVE, secret="env:NEXT")


def test_a_rotation_under_way_is_replaced_only_when_that_is_asked_for() -> None:
    with pytest.raises(UnderWay, match="until 2026-11-18T"):
        rotated(ROTATING, "env:THIRD", HOUR, NOW)
    found = rotated(ROTATING, "env:THIRD", HOUR, NOW, again=True)
    assert (found.secret, found.secret_next) == ("env:CRM_SECRET", "env:THIRD")


def test_a_rotation_that_has_ended_makes_its_secret_the_present_one() -> None:
    found = rotated(ROTATING, "env:THIRD", HOUR, NOW + 2 * HOUR)
    assert (found.secret, found.secret_next) == ("env:NEXT", "env:THIRD")


def test_the_new_secret_can_be_put_in_place_before_the_overlap_ends() -> None:
    assert activated(ROTATING) == replace(ACTIVE, secret="env:NEXT")
    with pytest.raises(ChangeRefused, match="acme/crm has no rotation"):
        activated(ACTIVE)
