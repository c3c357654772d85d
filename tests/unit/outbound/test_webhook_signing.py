from __future__ import annotations

import base64
import hashlib
import hmac
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from outbound.signing import Signer, secrets_at, standard_keys
from tests.unit.sinks.sink_parts import SECRET, START, endpoint

BODY = '{"event":"reply","body":"Grüße"}'.encode()
AT = 1_705_314_600

# Computed with `openssl dgst -sha256 -hmac KEY`, of the body and of `evt_1.1705314600.` and the body.
KNOWN_ANSWERS = [
    (
        SECRET,  # the base64 in it stands for 0123456789abcdef, twice
        "sha256=73887f7e5ec29d238ce5cd2e0047263ca07ec1577bbb61592a5e7613ff279682",
        "v1,48nQPbtTwVH5jieekkGoIRKiHitZs35FRqqwgCgsa4M=",
    ),
    (
        "topsecret",
        "sha256=0e62e0901f625ab48e912e93c2499e526da32ce71dfdbc6dfab587edbc386327",
        "v1,N4yhHxWfmi3WhodAOWEX1aRXcopOHgnrwybUUqfcEAY=",
    ),
]


@pytest.mark.parametrize(("secret", "own", "standard"), KNOWN_ANSWERS)
def test_headers_of_an_attempt(secret: str, own: str, standard: str) -> None:
    assert Signer(secret).headers("evt_1", BODY, AT) == {
        "X-Trackly-Signature": own,
        "webhook-id": "evt_1",
        "webhook-timestamp": "1705314600",
        "webhook-signature": standard,
    }


@given(body=st.binary(), secret=st.text(st.characters(codec="utf-8"), min_size=1))
def test_the_own_signature_is_keyed_with_the_whole_secret(body: bytes, secret: str) -> None:
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert Signer(secret).headers("evt_1", body, AT)["X-Trackly-Signature"] == f"sha256={expected}"


@given(body=st.text(st.characters(codec="utf-8")), key=st.binary(min_size=1), padded=st.booleans())
def test_the_standard_webhooks_library_verifies_the_signature(body: str, key: bytes, padded: bool) -> None:
    text = base64.b64encode(key).decode()
    secret = "whsec_" + (text if padded else text.rstrip("="))
    headers = Signer(secret).headers("evt_1", body.encode(), int(time.time()))
    Webhook(secret).verify(body, headers, json_parse=False)


def test_the_standard_webhooks_library_refuses_another_body() -> None:
    headers = Signer(SECRET).headers("evt_1", BODY, int(time.time()))
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY + b" ", headers, json_parse=False)


@pytest.mark.parametrize("secret", ["topsecret", "whsec_not base64!", "whsec_a", "WHSEC_MDEy"])
def test_a_secret_that_is_no_whsec_with_base64_is_the_key_itself(secret: str) -> None:
    assert standard_keys(secret) == [secret.encode()]


@pytest.mark.parametrize(
    "secret", ["0123456789abcdef0123456789abcdef", "MDEyMzQ1Njc4OWFiY2RlZg==", "MDEyMzQ1Njc4OWFiY2RlZg"]
)
def test_a_secret_of_base64_without_whsec_verifies_as_text_and_as_the_library_takes_it(secret: str) -> None:
    headers = Signer(secret).headers("evt_1", BODY, int(time.time()))
    Webhook(secret).verify(BODY, headers, json_parse=False)
    Webhook(secret.encode()).verify(BODY, headers, json_parse=False)


def test_a_signer_can_be_used_again() -> None:
    signer = Signer(SECRET)
    assert signer.headers("evt_1", BODY, AT) == signer.headers("evt_1", BODY, AT)
    assert signer.headers("evt_2", BODY, AT) == Signer(SECRET).headers("evt_2", BODY, AT)


# Rotation

NEW = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXc="


def test_during_a_rotation_both_secrets_sign() -> None:
    headers = Signer(SECRET, NEW).headers("evt_1", BODY, AT)
    present, following = Signer(SECRET).headers("evt_1", BODY, AT), Signer(NEW).headers("evt_1", BODY, AT)
    assert headers == present | {
        "X-Trackly-Signature-Next": following["X-Trackly-Signature"],
        "webhook-signature": f"{present['webhook-signature']} {following['webhook-signature']}",
    }


@pytest.mark.parametrize("secret", [SECRET, NEW])
def test_the_standard_webhooks_library_verifies_with_either_secret_of_a_rotation(secret: str) -> None:
    headers = Signer(SECRET, NEW).headers("evt_1", BODY, int(time.time()))
    Webhook(secret).verify(BODY, headers, json_parse=False)


@pytest.mark.parametrize(
    ("following", "at", "secrets"),
    [
        (None, None, (SECRET, None)),
        (NEW, START + 1, (SECRET, NEW)),
        (NEW, START, (NEW, None)),
        (NEW, None, (SECRET, NEW)),
    ],
)
def test_the_following_secret_takes_the_place_of_the_present_one_when_its_time_has_come(
    following: str | None, at: int | None, secrets: tuple[str, str | None]
) -> None:
    assert secrets_at(endpoint(secret_next=following, secret_next_at=at), START) == secrets
