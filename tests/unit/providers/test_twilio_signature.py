"""Twilio's signature: https://www.twilio.com/docs/usage/security#validating-requests."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import urlencode

import pytest

from providers.base import CallbackRequest, NotAuthentic
from providers.twilio import Twilio

TWILIO = Twilio()
URL = "https://callbacks.example/api/webhook-feedbacks/twilio?account=acme"
TOKEN = "0123456789abcdef0123456789abcdef"


SHARED_KEY = "a-key-that-is-shared"
SHA256 = "key=webhooks_sharedkey_01,algorithm=HMAC_SHA256"


def sign(token: str, text: str, algorithm: str = "sha1") -> str:
    return base64.b64encode(hmac.new(token.encode(), text.encode(), algorithm).digest()).decode()


def verify(
    signature: str | None,
    *,
    url: str = URL,
    body: bytes = b"",
    method: str = "POST",
    credentials: dict[str, str] | None = None,
    settings: str | None = None,
) -> str | None:
    """The code of the refusal, None when the callback is authentic."""
    headers = {} if signature is None else {"x-twilio-signature": signature}
    if settings is not None:
        headers["x-twilio-webhooks-signature-settings"] = settings
    request = CallbackRequest(method, url, url.partition("?")[2], headers, body)
    try:
        TWILIO.verify(request, {"auth_token": TOKEN} if credentials is None else credentials)
    except NotAuthentic as error:
        return error.code
    return None


def test_the_documented_example_verifies() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    assert (
        verify(
            "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
            url="https://mycompany.com/myapp.php?foo=1&bar=2",
            body=urlencode(fields).encode(),
            credentials={"auth_token": "12345"},
        )
        is None
    )


@pytest.mark.parametrize(
    ("body", "signed"),
    [
        (b"MessageSid=SM1&From=%2B15017250604", "From+15017250604MessageSidSM1"),
        (b"B=2&A=1&ToCity=&AB=3", "A1AB3B2ToCity"),
        (b"Body=caf%C3%A9+%F0%9F%98%80+100%25+%26+a%3Db", "Bodycafé 😀 100% & a=b"),
        (b"D=5678&D=1234&D=1234", "D1234D5678"),
        (b"a=1&B=2", "B2a1"),
        (b"", ""),
    ],
)
def test_parameters_are_signed_decoded_and_sorted_with_blanks_and_each_pair_once(body: bytes, signed: str) -> None:
    assert verify(sign(TOKEN, URL + signed), body=body) is None


@pytest.mark.parametrize(
    ("seen", "signed"),
    [
        ("https://a.example/x?y=1", "https://a.example/x?y=1"),
        ("https://a.example/x?y=1", "https://a.example:443/x?y=1"),
        ("http://a.example/x?y=1", "http://a.example:80/x?y=1"),
        ("https://a.example:8443/x?y=1", "https://a.example/x?y=1"),
        ("https://a.example:8443/x?y=1", "https://a.example:8443/x?y=1"),
        ("https://user:pass@a.example/x", "https://user:pass@a.example/x"),
        ("https://user:pass@a.example/x", "https://user:pass@a.example:443/x"),
        ("https://user:pass@a.example:443/x", "https://user:pass@a.example/x"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]/x"),
        ("https://a.example/x?y=it's", "https://a.example/x?y=it%27s"),
        ("https://a.example/o'hara?y=it's", "https://a.example/o'hara?y=it%27s"),
        ("https://a.example/x?y=1#rc=3&rp=all", "https://a.example/x?y=1"),
        ("https://a.example", "https://a.example"),
    ],
)
def test_the_url_is_signed_with_or_without_port_and_without_fragment(seen: str, signed: str) -> None:
    assert verify(sign(TOKEN, signed + "A1"), url=seen, body=b"A=1") is None


@pytest.mark.parametrize(
    ("seen", "signed"),
    [
        ("https://a.example/x?y=1", "https://a.example/x?y=2"),
        ("https://a.example/x?y=1", "http://a.example/x?y=1"),
        ("https://a.example/x", "https://a.example:8443/x"),
        ("https://a.example/x", "https://b.example/x"),
        ("https://a.example/x/", "https://a.example/x"),
    ],
)
def test_another_url_does_not_verify(seen: str, signed: str) -> None:
    assert verify(sign(TOKEN, signed), url=seen) == "wrong_signature"


@pytest.mark.parametrize(
    "body", [b"A=2", b"A=1&B=1", b"", b"A=1&A=2", b"a=1", b"A=1%20", b"\xff", b"A=%FF", b'{"A":1}']
)
def test_a_changed_body_does_not_verify(body: bytes) -> None:
    assert verify(sign(TOKEN, URL + "A1"), body=body) == "wrong_signature"


def test_a_json_body_is_signed_by_its_hash_in_the_url() -> None:
    body = b'{"property": "value"}'
    url = f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    assert verify(sign(TOKEN, url), url=url, body=body) is None
    assert verify(sign(TOKEN, url), url=url, body=body + b" ") == "wrong_signature"


def test_a_json_body_without_its_hash_does_not_verify() -> None:
    assert verify(sign(TOKEN, URL), body=b'{"property": "value"}') == "wrong_signature"


def test_a_get_is_signed_by_its_url_alone() -> None:
    url = f"{URL}&MessageSid=SM1&MessageStatus=sent"
    assert verify(sign(TOKEN, url), url=url, method="GET") is None
    assert verify(sign(TOKEN, url), url=url, method="GET", body=b"never=read") is None
    assert verify(sign(TOKEN, url), url=url + "&To=1", method="GET") == "wrong_signature"


def test_both_tokens_verify_while_the_token_is_changed() -> None:
    credentials = {"auth_token": "new", "auth_token_previous": TOKEN}
    assert verify(sign("new", URL), credentials=credentials) is None
    assert verify(sign(TOKEN, URL), credentials=credentials) is None
    assert verify(sign("older", URL), credentials=credentials) == "wrong_signature"


def test_a_right_signature_does_not_make_up_for_a_secret_in_the_path() -> None:
    request = CallbackRequest("POST", URL, "account=acme", {"x-twilio-signature": sign(TOKEN, URL)}, b"", "anything")
    with pytest.raises(NotAuthentic):
        TWILIO.verify(request, {"auth_token": TOKEN})


@pytest.mark.parametrize("credentials", [{}, {"auth_token": ""}, {"auth_token": "", "auth_token_previous": ""}])
def test_without_a_token_nothing_verifies(credentials: dict[str, str]) -> None:
    assert verify(sign("", URL), credentials=credentials) == "no_credentials"


@pytest.mark.parametrize("signature", [None, ""])
def test_a_missing_signature_is_refused(signature: str | None) -> None:
    assert verify(signature) == "missing_signature"


@pytest.mark.parametrize("signature", ["fake", "\udcff", sign(TOKEN, URL)[:-1], sign(TOKEN, URL) + " "])
def test_a_wrong_signature_is_refused(signature: str) -> None:
    assert verify(signature) == "wrong_signature"


@pytest.mark.parametrize("url", ["", "no url", "https://", "https://[broken/x", "https://a.example/\udcff"])
def test_an_odd_url_is_refused_not_an_error(url: str) -> None:
    assert verify("fake", url=url) == "wrong_signature"


# Shared keys

BOTH = {"auth_token": TOKEN, "shared_key": SHARED_KEY, "shared_key_previous": "an-older-key"}


@pytest.mark.parametrize(
    ("settings", "algorithm"),
    [
        (SHA256, "sha256"),
        ("key=webhooks_sharedkey_01,algorithm=HMAC_SHA1", "sha1"),
        (" algorithm = hmac_sha256 , key=k", "sha256"),
    ],
)
@pytest.mark.parametrize("key", [SHARED_KEY, "an-older-key"])
def test_a_shared_key_signs_the_same_text_with_the_algorithm_that_the_header_names(
    settings: str, algorithm: str, key: str
) -> None:
    signature = sign(key, URL + "BodyhiFrom+15017250604", algorithm)
    assert verify(signature, body=b"From=%2B15017250604&Body=hi", credentials=BOTH, settings=settings) is None
    assert verify(signature, body=b"From=%2B15017250604&Body=ho", credentials=BOTH, settings=settings) is not None


@pytest.mark.parametrize(
    ("signature", "settings", "credentials", "code"),
    [
        # The header never lets the auth token sign with SHA-256, nor the shared key without it.
        (sign(TOKEN, URL, "sha256"), SHA256, BOTH, "wrong_signature"),
        (sign(TOKEN, URL), SHA256, BOTH, "wrong_signature"),
        (sign(TOKEN, URL), "key=k,algorithm=HMAC_SHA1", BOTH, "wrong_signature"),
        (sign(TOKEN, URL, "sha256"), None, BOTH, "wrong_signature"),
        (sign(SHARED_KEY, URL), None, BOTH, "wrong_signature"),
        (sign(SHARED_KEY, URL, "sha256"), "key=k,algorithm=HMAC_SHA1", BOTH, "wrong_signature"),
        (sign(TOKEN, URL, "sha256"), SHA256, {"auth_token": TOKEN}, "no_credentials"),
        (sign(SHARED_KEY, URL, "sha256"), None, {"shared_key": SHARED_KEY}, "no_credentials"),
        (None, SHA256, BOTH, "missing_signature"),
        (sign(SHARED_KEY, URL, "sha512"), "key=k,algorithm=HMAC_SHA512", BOTH, "unknown_algorithm"),
        (sign(SHARED_KEY, URL), "key=k", BOTH, "unknown_algorithm"),
        (sign(SHARED_KEY, URL), "", BOTH, "unknown_algorithm"),
        (sign(SHARED_KEY, URL), "algorithm=HMAC_SHA1,algorithm=HMAC_SHA256", BOTH, "unknown_algorithm"),
    ],
)
def test_the_header_chooses_the_key_and_no_more(
    signature: str | None, settings: str | None, credentials: dict[str, str], code: str
) -> None:
    assert verify(signature, credentials=credentials, settings=settings) == code


def test_an_algorithm_that_is_not_known_is_named() -> None:
    headers = {"x-twilio-signature": "x", "x-twilio-webhooks-signature-settings": "key=k,algorithm=HMAC_MD5"}
    with pytest.raises(NotAuthentic, match=r"HMAC_MD5.*HMAC_SHA1, HMAC_SHA256"):
        TWILIO.verify(CallbackRequest("POST", URL, "account=acme", headers, b""), BOTH)


def test_a_colon_in_the_query_is_signed_bare_where_the_request_has_it_encoded() -> None:
    bare = f"{URL}&From=whatsapp:%2B15017250604&Body=it's"
    for signed in (bare, bare.replace("'", "%27"), bare.replace("whatsapp:", "whatsapp%3A")):
        url = f"{URL}&From=whatsapp%3A%2B15017250604&Body=it's"
        assert verify(sign(TOKEN, signed), url=url, method="GET") is None
    assert verify(sign(TOKEN, bare.replace("%2B", "+")), url=url, method="GET") == "wrong_signature"
