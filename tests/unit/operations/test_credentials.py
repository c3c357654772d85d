"""An account's credentials at a provider or network: what may be set, and what stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.as_code.file import CREDENTIALS
from operations.credentials import credentials_of, with_credentials
from providers import NETWORKS
from providers import PROVIDERS as KNOWN
from schemas.records import AccountConfig

ACME = AccountConfig(
    id="acme", name="Acme", providers={"twilio": {"auth_token": "old"}, "lime": {"x": "y"}}, postbacks={"token": "t"}
)


def test_what_is_named_is_set_and_the_rest_stays() -> None:
    after = with_credentials(ACME, "twilio", {"auth_token": "new", "auth_token_previous": "old"})
    assert after.providers == {"twilio": {"auth_token": "new", "auth_token_previous": "old"}, "lime": {"x": "y"}}
    assert after.postbacks == {"token": "t"}


def test_nothing_and_stars_keep_what_is_stored() -> None:
    assert with_credentials(ACME, "twilio", {"auth_token": "***"}) == ACME
    assert with_credentials(ACME, "twilio", {}) == ACME


def test_the_last_credential_that_goes_takes_the_provider_with_it() -> None:
    assert with_credentials(ACME, "twilio", {"auth_token": None}).providers == {"lime": {"x": "y"}}


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_share_the_token_of_postbacks(network: str) -> None:
    after = with_credentials(ACME, network, {"token": "the-new-one", "token_previous": "t"})
    assert after.postbacks == {"token": "the-new-one", "token_previous": "t"}
    assert after.providers == ACME.providers


@pytest.mark.parametrize(
    ("source", "values", "problem"),
    [
        ("twilio", {"secret": "s"}, "secret: is not a credential of twilio"),
        ("lime", {"secret": "s"}, "secret: is not a credential of lime"),
        ("cm", {"secret": "s3cret!"}, "secret: is too short: write 8 characters or more"),
        ("lime", {"path_secret": "s3cret!"}, "path_secret: is too short"),
        ("eztexting", {"secret": "s3cret!"}, "secret: is too short"),
        ("infobip", {"secret": "s3cret!"}, "secret: is too short"),
        ("tune", {"token": "s3cret!"}, "token: is too short"),
        ("cm", {"secret": " "}, "secret: is empty"),
        ("infobip", {"username": "u"}, "password: is missing; username does not work without it"),
        ("infobip", {"header_value": "v"}, "header_name: is missing; header_value does not work without it"),
        ("cm", {"secret": "a line\nof two"}, "secret: must be at most 500 printable characters"),
        ("cm", {"secret": "x" * 501}, "secret: must be at most 500 printable characters"),
        ("cm", {"secret": "enc:v1:x"}, "secret: is already encrypted"),
        ("cm", {"secret_previous": "s"}, "secret_previous: is set, but secret, its successor, is not"),
        ("tune", {"token": None, "token_previous": "s"}, "token_previous: is set, but token, its successor, is not"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(source: str, values: dict[str, str | None], problem: str) -> None:
    with pytest.raises(ValueError, match="^" + problem) as refused:
        with_credentials(ACME, source, values)
    assert "\n" not in str(refused.value)


def test_every_provider_and_network_has_names() -> None:
    assert {*KNOWN} == {*CREDENTIALS}
    assert all(credentials_of(source) or source == "lime" for source in (*KNOWN, *NETWORKS))


@given(st.text(min_size=1, max_size=60))
def test_no_problem_repeats_a_value(value: str) -> None:
    secret = f"s3cret{value}"
    with pytest.raises(ValueError, match=r"^secret_previous: ") as refused:
        with_credentials(ACME, "cm", {"secret_previous": secret})
    assert secret not in str(refused.value)
