"""Who may do what with which account."""

from __future__ import annotations

import pytest

from console.principals import EVERY_ACCOUNT, Principal, Role, grants_of


def user(**grants: Role) -> Principal:
    return Principal("user", "1", "ann@example.com", grants)


EVERYWHERE_VIEWER = Principal("user", "1", "ann@example.com", {EVERY_ACCOUNT: Role.VIEWER, "acme": Role.ADMIN})


def test_a_greater_role_may_do_what_a_lesser_one_may() -> None:
    assert Role.VIEWER < Role.SUPPORT < Role.ADMIN
    assert [user(acme=Role.SUPPORT).may(role, "acme") for role in Role] == [True, True, False]


def test_roles_are_known_by_their_names() -> None:
    assert [Role.named(name) for name in ("viewer", "support", "admin")] == list(Role)
    assert [str(role) for role in Role] == ["viewer", "support", "admin"]


@pytest.mark.parametrize("name", ["", "ADMIN", "owner"])
def test_there_are_no_other_roles(name: str) -> None:
    with pytest.raises(ValueError, match="roles are viewer, support, admin"):
        Role.named(name)


def test_a_role_that_a_newer_version_stored_grants_nothing() -> None:
    assert grants_of([("acme", "admin"), ("other", "auditor")]) == {"acme": Role.ADMIN}


def test_without_a_grant_there_is_no_role() -> None:
    assert user(acme=Role.ADMIN).role_in("other") is None
    assert not user(acme=Role.ADMIN).may(Role.VIEWER, "other")
    assert user().role_in("acme") is None


def test_the_greater_of_two_grants_counts() -> None:
    assert EVERYWHERE_VIEWER.role_in("acme") is Role.ADMIN
    assert EVERYWHERE_VIEWER.role_in("other") is Role.VIEWER
    lesser = Principal("key", "k", "shop", {EVERY_ACCOUNT: Role.ADMIN, "acme": Role.VIEWER})
    assert lesser.role_in("acme") is Role.ADMIN


def test_it_sees_the_accounts_that_it_has_a_role_in() -> None:
    assert user(beta=Role.VIEWER, acme=Role.ADMIN).accounts(["other", "beta", "acme"]) == ["acme", "beta"]
    assert EVERYWHERE_VIEWER.accounts(["other", "acme"]) == ["acme", "other"]


def test_a_grant_of_an_account_that_is_gone_shows_nothing() -> None:
    assert user(gone=Role.ADMIN).accounts(["acme"]) == []


def test_an_operator_is_an_admin_of_every_account() -> None:
    assert Principal("key", "k", "ops", {EVERY_ACCOUNT: Role.ADMIN}).is_operator
    assert not EVERYWHERE_VIEWER.is_operator
    assert not user(acme=Role.ADMIN).is_operator


def test_the_audit_log_names_what_acted() -> None:
    assert user().actor == "user:ann@example.com"
    assert Principal("key", "k", "shop", {}).actor == "key:shop"
