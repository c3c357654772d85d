"""A secret in the path admits callbacks of the account that has it; the deployment's, those of all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from accounts.model import Accounts
from operations.as_code.plan import PlanError, make_plan
from providers import PROVIDERS
from schemas.records import AccountConfig
from tests.unit.ingest.ingest_parts import Door

NAMES = [name for name in sorted(PROVIDERS) if PROVIDERS[name].behind_path_secret]
SHARED = {f"{name}_webhook_secret": "shared/one, shared-two" for name in NAMES}
OWN = {"path_secret": "acme/own", "path_secret_previous": "acme-old"}


def account(name: str, credentials: dict[str, str]) -> AccountConfig:
    return AccountConfig(id=name, name=name, providers=dict.fromkeys(NAMES, credentials))


@pytest.fixture
def door(tmp_path: Path) -> Door:
    lost = account("lost", {"path_secret": "env:NOBODY_SET_THIS"})
    return Door(tmp_path, account("acme", OWN), account("beta", {"path_secret": "beta-own"}), account("bare", {}), lost,
                **SHARED)  # fmt: skip


async def post(door: Door, name: str, secret: str, query: str) -> tuple[int, str]:
    url = f"/api/webhook-feedbacks/{name}/{secret}{query}"
    answer = await door.request("POST", url, json={})
    code = "" if answer.status_code == 200 or not answer.content else answer.json()["code"]
    return answer.status_code, code


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("secret", "owner", "status"),
    [
        ("acme/own", "acme", 200),
        ("acme%2Fown", "acme", 200),
        ("acme/own/", "acme", 200),
        ("acme-old", "acme", 200),
        ("shared/one", "acme", 404),
        ("beta-own", "acme", 404),
        ("wrong", "acme", 404),
        ("", "acme", 404),
        ("shared/one", "bare", 200),
        ("shared-two", "bare", 200),
        ("acme/own", "bare", 404),
        ("shared/one", "lost", 503),
    ],
)
async def test_an_accounts_own_secret_replaces_the_deployment_s_for_it(
    door: Door, name: str, secret: str, owner: str, status: int
) -> None:
    assert (await post(door, name, secret, f"?account={owner}"))[0] == status
    assert [callback.account for callback in door.stored()] == ([owner] if status == 200 else [])
    assert all(callback.path == f"/api/webhook-feedbacks/{name}/***" for callback in door.stored())


@pytest.mark.parametrize("name", NAMES)
async def test_without_the_deployment_s_accounts_with_one_of_their_own_are_served(tmp_path: Path, name: str) -> None:
    door = Door(tmp_path, account("acme", OWN), account("bare", {}))
    assert (await post(door, name, "acme/own", "?account=acme"))[0] == 200
    assert (await post(door, name, "", "?account=bare"))[0] == 404


async def test_who_has_no_secret_learns_of_no_account(door: Door) -> None:
    answers = {await post(door, "lime", "wrong", f"?account={name}") for name in ("acme", "bare", "nobody")}
    assert answers == {(404, "not_found")}
    assert await post(door, "lime", "acme/own", "?account=nobody") == (404, "not_found")
    assert await post(door, "lime", "acme/own", "?account=acme&account=bare") == (404, "not_found")
    assert await post(door, "lime", "shared/one", "?account=nobody") == (404, "unknown_account")


@pytest.mark.parametrize(
    ("settings", "credentials", "status"),
    [
        ({}, {}, 200),
        ({}, {"signature": "required"}, 403),
        ({"eztexting_require_signature": True}, {}, 403),
        ({"eztexting_require_signature": True}, {"secret": "s"}, 403),
    ],
)
async def test_an_account_or_the_deployment_may_require_the_signature_of_ez_texting(
    tmp_path: Path, settings: dict[str, bool], credentials: dict[str, str], status: int
) -> None:
    door = Door(tmp_path, account("bare", credentials), **SHARED, **settings)
    assert (await post(door, "eztexting", "shared/one", "?account=bare"))[0] == status
    assert len(door.stored()) == (status == 200)


def test_the_file_says_so_in_one_word() -> None:
    text = '[[accounts]]\nid = "acme"\nname = "Acme"\n[accounts.providers.eztexting]\nsignature = "{}"\n'
    (config,) = make_plan(text.format("required"), Accounts()).configs
    assert isinstance(config, AccountConfig)
    with pytest.raises(PlanError, match=r"eztexting\.signature: is not a known value; write required"):
        make_plan(text.format("maybe"), Accounts())
