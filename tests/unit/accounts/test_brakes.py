"""The settings of brakes."""

from __future__ import annotations

import pytest

from accounts.brakes import Brake, brake_of
from schemas.records import AccountConfig, ListConfig


@pytest.mark.parametrize(
    ("account", "of_list", "brake"),
    [
        ({}, {}, Brake(0.1, 500)),
        ({"brake_share": 0.2}, {}, Brake(0.2, 500)),
        ({"brake_share": 0.2, "brake_minimum": 10}, {"brake_share": 0.05}, Brake(0.05, 10)),
        ({"brake_minimum": 10}, {"brake_minimum": 0}, Brake(0.1, 0)),
        ({"brake_share": 1.0}, {"brake_share": 0.5}, Brake(0.5, 500)),
    ],
)
def test_a_lists_setting_wins_over_its_accounts(
    account: dict[str, float], of_list: dict[str, float], brake: Brake
) -> None:
    config = AccountConfig(id="acme", name="Acme", **account)  # type: ignore[arg-type]
    assert brake_of(config, ListConfig(account="acme", number="+1", **of_list)) == brake  # type: ignore[arg-type]


def test_what_nobody_has_configured_has_the_default() -> None:
    assert brake_of(None, None) == Brake()


@pytest.mark.parametrize(
    ("brake", "contacts", "partitions", "most"),
    [
        (Brake(0.1, 500), 100, 1, 500),
        (Brake(0.1, 500), 100, 12, 42),
        (Brake(0.1, 500), 100_000, 12, 10_000),
        (Brake(0.1, 0), 9, 1, 0),
        (Brake(0.1, 1), 9, 12, 1),
    ],
)
def test_so_many_may_go_of_the_contacts_in_a_partition(brake: Brake, contacts: int, partitions: int, most: int) -> None:
    assert brake.most(contacts, partitions) == most


def test_a_whole_list_may_go_where_the_brake_is_off() -> None:
    assert Brake(1.0).is_off
    assert not Brake(0.99).is_off
