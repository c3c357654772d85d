"""What `trackly doctor` says about accounts' settings."""

from __future__ import annotations

from accounts.model import Accounts
from schemas.records import AccountConfig, EndpointConfig
from trackly.commands.doctor.accounts import unreadable_secrets


def test_a_secret_that_is_not_here_is_told_with_its_setting() -> None:
    accounts = Accounts()
    accounts.put(AccountConfig(id="acme", name="Acme", providers={"twilio": {"auth_token": "env:NOT_HERE"}}))
    accounts.put(EndpointConfig(account="acme", id="crm", url="poll", secret="env:NOT_HERE", events=("reply",)))
    assert [finding.text for finding in unreadable_secrets(accounts)] == [
        "account acme: environment variable NOT_HERE is not set",
        "account acme, endpoint crm: environment variable NOT_HERE is not set",
    ]
