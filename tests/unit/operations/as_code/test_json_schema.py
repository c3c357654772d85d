"""The JSON Schema of a settings file accepts what its reader accepts, and has no other settings."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from accounts.model import Accounts
from operations.as_code import file
from operations.as_code.export import export
from operations.as_code.file import read_file
from operations.as_code.json_schema import json_schema
from operations.as_code.plan import make_plan
from tests.unit.operations.as_code.files import WHOLE, account_with, endpoint_with, view_of

SCHEMA = json.loads(json_schema())
ACCOUNT = SCHEMA["properties"]["accounts"]["items"]["properties"]


def validator() -> Draft202012Validator:
    return Draft202012Validator(SCHEMA)


def mistakes(text: str) -> list[str]:
    values = json.loads(json.dumps(tomllib.loads(text), default=str))
    return [error.json_path for error in validator().iter_errors(values)]


def test_it_is_a_schema() -> None:
    validator().check_schema(SCHEMA)


def test_it_takes_a_file_with_every_setting_and_what_is_exported() -> None:
    assert mistakes(WHOLE) == []
    assert mistakes(export(view_of(*make_plan(WHOLE, Accounts()).configs))) == []


@pytest.mark.parametrize(
    ("found", "known"),
    [
        (ACCOUNT, file._ACCOUNT_KEYS),
        (ACCOUNT["lists"]["items"]["properties"], file._LIST_KEYS),
        (ACCOUNT["endpoints"]["items"]["properties"], file._ENDPOINT_KEYS),
        (ACCOUNT["alerts"]["properties"], file._ALERT_KEYS),
        (ACCOUNT["providers"]["properties"], file.CREDENTIALS),
    ],
    ids=["account", "list", "endpoint", "alerts", "providers"],
)
def test_it_has_the_settings_of_the_reader_and_no_others(found: dict[str, Any], known: tuple[str, ...]) -> None:
    assert set(found) == set(known)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "accounts = 1",
        "accounts = []",
        "[[accounts]]\nname = 'no id'",
        account_with("nmae = 'Acme'"),
        account_with("allow_http = 1"),
        account_with("callback_rate_limit = 0"),
        account_with("opt_out_scope = 'lists'"),
        account_with("brake = 'on'"),
        account_with("[accounts.providers.twillio]"),
        account_with("[accounts.providers.twilio]\npassword = 'x'"),
        account_with("[accounts.opt_out]\noff = ['all']"),
        account_with("[accounts.codes]\n'twilio 1' = 'bad'"),
        account_with("[[accounts.lists]]\nnumber = '+1 800'"),
        account_with("[[accounts.lists]]\nnumber = '+18005551234'\nretry_threshold = 0"),
        account_with("[[accounts.endpoints]]\nid = 'crm'"),
        endpoint_with("events = ['deliveries']"),
        endpoint_with("format = 'xml'"),
        endpoint_with("batch_events = 101"),
        endpoint_with("headers = { X = 1 }"),
        account_with("[[accounts.endpoints]]\nid = 'crm'\nurl = 'ftp://a.example/'"),
    ],
)
def test_what_it_refuses_the_reader_refuses_too(text: str) -> None:
    assert mistakes(text)
    assert read_file(text)[1]


def test_settings_have_their_words() -> None:
    assert all("description" in ACCOUNT[name] for name in ("id", "name", "trusted_cidrs"))
    assert "description" in ACCOUNT["endpoints"]["items"]["properties"]["rate_limit"]
