"""Tokens for Kafka: requested once, used for most of their lifetime, and never revealing the secret."""

from __future__ import annotations

import sys

import pytest

from bus.settings import BusSettings
from bus.token_providers import ForAiokafka, ForKafkaPython
from bus.tokens import Token, Tokens, TokenUnavailable, client_credentials, msk_iam
from bus.worker import faust_settings
from tests.secured_broker import token_issuer


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.issued = 0
        self.is_down = False

    def issue(self) -> Token:
        if self.is_down:
            raise TokenUnavailable("the issuer is down")
        self.issued += 1
        return Token(f"token {self.issued}", self.now + 100)


@pytest.mark.parametrize(
    ("after", "is_down", "expected"),
    [
        (0.0, False, "token 1"),
        (79.0, False, "token 1"),
        (80.0, False, "token 2"),
        (99.0, True, "token 1"),
        (100.0, True, None),
        (100.0, False, "token 2"),
    ],
)
def test_a_token_is_shown_until_most_of_its_life_is_over(after: float, is_down: bool, expected: str | None) -> None:
    clock = Clock()
    tokens = Tokens(clock.issue, lambda: clock.now)
    assert tokens.get() == "token 1"
    clock.now += after
    clock.is_down = is_down
    if expected is None:
        with pytest.raises(TokenUnavailable):
            tokens.get()
    else:
        assert tokens.get() == expected


def test_an_issuer_is_asked_by_client_credentials() -> None:
    with token_issuer() as issuer:
        issue = client_credentials(issuer.url, "trackly ingest", "a:b/ü", "kafka")
        token = issue()
        assert issuer.asked == [
            ("trackly+ingest:a%3Ab%2F%C3%BC", {"grant_type": "client_credentials", "scope": "kafka"})
        ]
    assert token.text.count(".") == 2


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "KAFKA_OAUTH_TOKEN_URL answered 401: the client id or secret is wrong"),
        (400, "KAFKA_OAUTH_TOKEN_URL answered 400: the scope or client is unknown"),
        (302, "KAFKA_OAUTH_TOKEN_URL answered 302"),
        (503, "KAFKA_OAUTH_TOKEN_URL answered 503"),
    ],
)
def test_a_refusal_is_told_without_the_secret(status: int, said: str) -> None:
    with token_issuer() as issuer:
        issuer.status = status
        with pytest.raises(TokenUnavailable) as caught:
            client_credentials(issuer.url, "trackly", "geheim", None)()
        assert len(issuer.asked) == 1
    assert str(caught.value) == said


def test_an_issuer_that_is_not_there_is_no_connection() -> None:
    with token_issuer() as issuer:
        url = issuer.url
    with pytest.raises(OSError, match="KAFKA_OAUTH_TOKEN_URL does not answer"):
        client_credentials(url, "trackly", "geheim", None)()


def test_a_life_that_is_over_at_once_is_no_token() -> None:
    with token_issuer() as issuer:
        issuer.life = -1
        with pytest.raises(TokenUnavailable, match="did not return a token"):
            client_credentials(issuer.url, "trackly", "geheim", None)()


async def test_both_clients_are_given_the_same_tokens_and_extensions() -> None:
    settings = BusSettings(
        security_protocol="SASL_SSL",
        sasl_mechanism="OAUTHBEARER",
        oauth_token_url="https://issuer.example.com/token",
        oauth_client_id="trackly",
        oauth_client_secret="geheim",  # type: ignore[arg-type]
        oauth_extensions="logicalCluster=lkc-1,identityPoolId=pool-1",
    )
    settings.__dict__["tokens"] = Tokens(lambda: Token("shown", 2e10))
    for_aiokafka = settings.aiokafka()["sasl_oauth_token_provider"]
    for_kafka_python = settings.kafka_python()["sasl_oauth_token_provider"]
    assert isinstance(for_aiokafka, ForAiokafka)
    assert isinstance(for_kafka_python, ForKafkaPython)
    assert (await for_aiokafka.token(), for_kafka_python.token()) == ("shown", "shown")
    expected = {"logicalCluster": "lkc-1", "identityPoolId": "pool-1"}
    assert for_aiokafka.extensions() == for_kafka_python.extensions() == expected
    assert faust_settings.credentials(settings).mechanism.value == "OAUTHBEARER"


def test_what_msk_needs_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aws_msk_iam_sasl_signer", None)
    with pytest.raises(TokenUnavailable, match=r"pip install 'trackly\[msk\]'"):
        msk_iam("b-1.x.kafka.eu-central-1.amazonaws.com:9098")


def test_aws_s_signer_makes_a_token_of_what_this_machine_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aws_msk_iam_sasl_signer", reason="the extra msk is not installed: its signer was NOT tried")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    given = {"security_protocol": "SASL_SSL", "sasl_mechanism": "AWS_MSK_IAM"}
    with pytest.raises(TokenUnavailable, match="AWS_REGION"):
        assert BusSettings(bootstrap_servers="kafka:9098", **given).tokens
    settings = BusSettings(bootstrap_servers="b-1.x.c2.kafka.eu-central-1.amazonaws.com:9098", **given)
    assert settings.tokens is not None
    assert len(settings.tokens.get()) > 100
    assert settings.aiokafka()["sasl_mechanism"] == "OAUTHBEARER"
