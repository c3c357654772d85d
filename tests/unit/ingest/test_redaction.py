"""Secrets of a request are not stored."""

from __future__ import annotations

import pytest

from ingest.redaction import storable_headers, storable_query


@pytest.mark.parametrize(
    ("query", "stored"),
    [
        ("account=acme", "account=acme"),
        ("account=acme&secret=hunter2", "account=acme&secret=***"),
        ("SECRET=hunter2&account=acme", "SECRET=***&account=acme"),
        ("token=a&token=b", "token=***&token=***"),
        ("secret=", "secret=***"),
        ("reference=secret", "reference=secret"),
        ("keyword=PIZZA&mysecret=1", "keyword=PIZZA&mysecret=1"),
        ("", ""),
    ],
)
def test_secret_parameters_are_starred_and_nothing_else(query: str, stored: str) -> None:
    assert storable_query(query) == stored


def test_headers_that_prove_something_are_left_out() -> None:
    headers = {"authorization": "Basic x", "cookie": "s=1", "x-own": "hunter2", "user-agent": "Infobip"}
    assert storable_headers(headers, {"header_name": "X-Own"}) == {"user-agent": "Infobip"}
