"""Secrets of a request are not stored."""

from __future__ import annotations

import pytest

from ingest.redaction import secrets_of_url, storable_body, storable_headers, storable_path, storable_query


@pytest.mark.parametrize(
    ("query", "stored"),
    [
        ("account=acme", "account=acme"),
        ("account=acme&secret=hunter2", "account=acme&secret=***"),
        ("SECRET=hunter2&account=acme", "SECRET=***&account=acme"),
        ("token=a&token=b", "token=***&token=***"),
        ("secret=", "secret=***"),
        ("%73ecret=hunter2", "%73ecret=***"),
        ("secret%20=hunter2&+token=hunter2", "secret%20=***&+token=***"),
        ("reference=secret", "reference=secret"),
        ("keyword=PIZZA&mysecret=1", "keyword=PIZZA&mysecret=1"),
        ("", ""),
    ],
)
def test_secret_parameters_are_starred_and_nothing_else(query: str, stored: str) -> None:
    assert storable_query(query) == stored


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        (b"click_id=c-1&token=hunter2", b"click_id=c-1&token=***"),
        (b'{"click_id": "c-1", "token": "hunter2"}', b'{"click_id": "c-1", "token": "***"}'),
        (b'{"Token" : "hunter\\"2", "a": 1}', b'{"Token" : "***", "a": 1}'),
        (b'{"token": 4711, "payout": 2.50000}', b'{"token": "***", "payout": 2.50000}'),
        (b'{"token": "hunter2', b'{"token": "***"'),
        (b'{"mytoken": "a", "key": {"b": 1}}', b'{"mytoken": "a", "key": {"b": 1}}'),
        (b"\xff\xfe=\x00", b"\xff\xfe=\x00"),
        (b"", b""),
    ],
)
def test_secrets_of_a_body_are_starred_and_nothing_else(body: bytes, stored: bytes) -> None:
    assert storable_body(body) == stored


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('{"click_id": "c-1", "token": "hunter2"}'.encode("utf-8-sig"), "application/json"),
        ('{"click_id": "c-1", "token": "hunter2"}'.encode("utf-16"), "application/json"),
        ('{"click_id": "c-1", "token": "hunter2"}'.encode("utf-16-be"), "application/json; charset=utf-16be"),
        ('{"click_id": "c-1", "token": "hunter2"}'.encode("utf-16-le") + b"\x00", "text/json; charset=utf-16le"),
        (b'{"click_id": "c-1", "tok\\u0065n": "hunter2"}', "application/json"),
        (b'{"click_id": "c-1", " Token": "hunter2"}', "application/json"),
        (b'\xc2\xa0{"click_id": "c-1", "token": "hunter2"}', "application/json"),
        ("token=hunter2&click_id=c-1".encode("utf-8-sig"), "application/x-www-form-urlencoded"),
        ("click_id=c-1&token=hunter2".encode("utf-16"), "application/x-www-form-urlencoded"),
        (b"click_id=c-1&amp;token=hunter2", "application/x-www-form-urlencoded"),
        (b"account=acme?token=hunter2&click_id=c-1", "application/x-www-form-urlencoded"),
        (
            b'--x\r\nContent-Disposition: form-data; name="click_id"\r\n\r\nc-1\r\n'
            b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\nhunter2\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_no_way_to_write_a_body_leaves_its_secret_in_it(body: bytes, content_type: str) -> None:
    stored = storable_body(body, content_type)
    assert b"hunter2" not in stored.replace(b"\x00", b"")
    assert b"c-1" in stored.replace(b"\x00", b"")


def test_a_body_that_is_nearly_json_takes_no_more_time_than_its_size() -> None:
    body = b"{" + b'"\\' * 20_000
    assert storable_body(body) == body


def test_headers_that_prove_something_are_left_out() -> None:
    headers = {"authorization": "Basic x", "cookie": "s=1", "x-own": "hunter2", "user-agent": "Infobip"}
    assert storable_headers(headers, {"header_name": "X-Own"}) == {"user-agent": "Infobip"}


@pytest.mark.parametrize(
    ("value", "is_stored"),
    [
        ("https://sms.example.com/api/webhook-feedbacks/cm/hunter2?account=acme", False),
        ("/api/webhook-feedbacks/cm/hunte%72%32?account=acme", False),
        ("/api/webhook-feedbacks/cm?account=acme&secret=p%C3%A4ss+word", False),
        ("/login?next=%2Fapi%2Fwebhook-feedbacks%2Fcm%2Fhunte%2572%2532", False),
        ("/login?next=%2Fcm%3Fsecret%3Dp%25C3%25A4ss%2Bword", False),
        ("/api/webhook-feedbacks/cm?account=acme", True),
    ],
)
def test_a_header_with_a_secret_of_the_url_is_left_out(value: str, is_stored: bool) -> None:
    secrets = secrets_of_url([("account", "acme"), ("secret", "päss word"), ("Token", "")], "hunter2")
    assert secrets == ["hunter2", "päss word"]
    assert bool(storable_headers({"x-original-url": value}, {}, secrets)) is is_stored


@pytest.mark.parametrize(
    ("proof", "value"),
    [
        ("authorization", "Basic dXNlcjpodW50ZXIy"),
        ("x-twilio-signature", "0/KCTR6DLpKmkAf8muzZqo1nDgQ="),
        ("x-own", "hunter2"),
    ],
)
def test_a_header_that_repeats_a_proof_is_left_out(proof: str, value: str) -> None:
    headers = {proof: value, "x-forwarded-proof": value, "x-logged": f"proof={value}", "user-agent": "Infobip"}
    assert storable_headers(headers, {"header_name": "X-Own"}) == {"user-agent": "Infobip"}


def test_a_url_with_the_password_of_basic_authentication_is_left_out() -> None:
    headers = {"authorization": "Basic bWU6aHVudGVyMg==", "referer": "https://me:hunter2@sms.example.com/"}
    assert storable_headers(headers, {}) == {}


def test_a_secret_that_stands_there_twice_is_one() -> None:
    assert secrets_of_url([("secret", "a"), ("token", "a"), ("key", "b"), ("secret", "a")], "a") == ["a", "b"]


def test_without_a_secret_in_the_url_all_other_headers_stay() -> None:
    assert storable_headers({"user-agent": "CM"}, {}, secrets_of_url([("account", "acme")], None)) == {
        "user-agent": "CM"
    }


def test_the_secret_of_a_path_is_starred() -> None:
    assert storable_path("lime", "hunter2") == "/api/webhook-feedbacks/lime/***"
    assert storable_path("infobip", None) == "/api/webhook-feedbacks/infobip"
