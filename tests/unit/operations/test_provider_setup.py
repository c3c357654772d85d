"""How far a provider is set up, and the URL to give it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from operations.providers import SILENT_AFTER_MS, STATES, ProviderActivity, setup_of, setups, state_of, url_of
from providers import NETWORKS, PROVIDERS
from schemas.records import AccountConfig

NOW = 1_795_000_000_000
BASE = "https://sms.example.com/"
NOTHING_SET = AccountConfig(id="acme", name="Acme")
SET = AccountConfig(
    id="acme",
    name="Acme",
    providers={name: {"secret": "env:S"} for name in ("infobip", "cm", "eztexting")}
    | {"twilio": {"auth_token": "env:T"}},
    postbacks={"token": "env:P"},
)
PATH_SET = AccountConfig(id="acme", name="Acme", providers={"lime": {"path_secret": "env:S"}})
TAKEN = ProviderActivity(taken=5, last_taken_at=NOW - 60_000)
VERIFIED = replace(TAKEN, understood=3, understood_until=NOW)


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (ProviderActivity(), "never seen"),
        (ProviderActivity(understood=2, understood_until=NOW), "never seen"),
        (ProviderActivity(refused=1, last_refused_at=NOW, last_refusal="wrong_secret"), "failing"),
        (TAKEN, "unverified"),
        (VERIFIED, "verified"),
        (replace(VERIFIED, last_refused_at=NOW - 90_000), "verified"),
        (replace(VERIFIED, last_refused_at=NOW), "failing"),
        (replace(VERIFIED, last_rejected_at=NOW - 1), "verified"),
        (replace(VERIFIED, last_rejected_at=NOW + 1), "failing"),
        (replace(TAKEN, last_rejected_at=NOW - 30_000), "failing"),
        (replace(VERIFIED, last_taken_at=NOW - SILENT_AFTER_MS), "verified"),
        (replace(VERIFIED, last_taken_at=NOW - SILENT_AFTER_MS - 1), "silent"),
    ],
)
def test_a_state_follows_from_what_was_seen(seen: ProviderActivity, state: str) -> None:
    assert state_of(seen, NOW) == state
    assert state in STATES


@pytest.mark.parametrize(
    ("name", "config", "url"),
    [
        ("infobip", NOTHING_SET, "https://sms.example.com/api/webhook-feedbacks/infobip?account=acme"),
        ("infobip", SET, "https://sms.example.com/api/webhook-feedbacks/infobip?account=acme&secret=…"),
        ("cm", SET, "https://sms.example.com/api/webhook-feedbacks/cm?account=acme&secret=…"),
        ("twilio", SET, "https://sms.example.com/api/webhook-feedbacks/twilio?account=acme"),
        ("lime", NOTHING_SET, "https://sms.example.com/api/webhook-feedbacks/lime/…?account=acme"),
        ("eztexting", SET, "https://sms.example.com/api/webhook-feedbacks/eztexting/…?account=acme"),
        ("tune", NOTHING_SET, "https://sms.example.com/api/postbacks/tune?account=acme&click_id=…&payout=…"),
        ("tune", SET, "https://sms.example.com/api/postbacks/tune?account=acme&token=…&click_id=…&payout=…"),
    ],
)
def test_the_url_is_what_to_paste_with_its_secrets_hidden(name: str, config: AccountConfig, url: str) -> None:
    assert url_of(name, config, BASE) == url


def test_secrets_that_are_given_stand_in_the_url_encoded() -> None:
    assert url_of("infobip", SET, BASE, {"secret": "a&b c"}).endswith("?account=acme&secret=a%26b%20c")
    assert url_of("lime", SET, BASE, {"path_secret": "a/b"}).endswith("/lime/a%2Fb?account=acme")
    assert "…" in url_of("eztexting", SET, BASE, {"secret": "a"})


@pytest.mark.parametrize(
    ("name", "config", "seen", "done"),
    [
        ("infobip", NOTHING_SET, ProviderActivity(), [False, False, False]),
        ("infobip", SET, ProviderActivity(), [True, False, False]),
        ("lime", NOTHING_SET, ProviderActivity(), [False, False, False]),
        ("lime", PATH_SET, ProviderActivity(), [True, False, False]),
        ("eztexting", SET, ProviderActivity(), [False, False, False]),
        ("eztexting", NOTHING_SET, ProviderActivity(refused=1, last_refused_at=NOW), [False, True, False]),
        ("eztexting", NOTHING_SET, TAKEN, [True, True, False]),
        ("infobip", SET, TAKEN, [True, True, False]),
        ("infobip", SET, ProviderActivity(refused=1, last_refused_at=NOW), [True, True, False]),
        ("infobip", SET, VERIFIED, [True, True, True]),
    ],
)
def test_the_three_steps_are_done_one_by_one(
    name: str, config: AccountConfig, seen: ProviderActivity, done: list[bool]
) -> None:
    assert [step.is_done for step in setup_of(name, config, BASE, seen, NOW).steps] == done


def test_every_provider_and_network_is_there_and_no_value_of_a_secret() -> None:
    found = setups(SET, BASE, {}, NOW)
    assert {setup.provider for setup in found} == {*PROVIDERS, *NETWORKS}
    assert "env:" not in repr(found)
