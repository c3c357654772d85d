"""Authentication of callbacks by the methods that several providers share."""

from __future__ import annotations

import base64

import pytest

from providers.base import CallbackRequest, NotAuthentic
from providers.proof import is_secret, require_basic, require_header, require_url_secret


def request(
    query: str = "account=acme", headers: dict[str, str] | None = None, path_secret: str | None = None
) -> CallbackRequest:
    return CallbackRequest("POST", f"https://callbacks.example/x?{query}", query, headers or {}, b"{}", path_secret)


@pytest.mark.parametrize(
    ("given", "secrets", "right"),
    [
        ("new", ("old", "new"), True),
        ("old", ("old", "new"), True),
        ("ne", ("old", "new"), False),
        ("", ("old",), False),
        ("\udcff", ("old",), False),
        ("anything", (), False),
    ],
)
def test_a_secret_is_right_when_it_is_one_of_those_accepted(given: str, secrets: tuple[str, ...], right: bool) -> None:
    assert is_secret(given, secrets) is right


@pytest.mark.parametrize(
    ("query", "path_secret", "code"),
    [
        ("account=acme&secret=new", None, None),
        ("account=acme&secret=old", None, None),
        ("account=acme&SECRET=new", None, None),
        ("account=acme", "new", None),
        ("account=acme", "old", None),
        ("account=acme&secret=new", "old", None),
        ("account=acme&secret=new", "other", "wrong_secret"),
        ("account=acme&secret=other", "new", "wrong_secret"),
        ("account=acme&secret=new&secret=other", None, "wrong_secret"),
        ("account=acme", "", "wrong_secret"),
        ("account=acme", None, "missing_secret"),
    ],
)
def test_two_secrets_of_the_url_are_right_while_one_is_changed(
    query: str, path_secret: str | None, code: str | None
) -> None:
    credentials = {"secret": "new", "secret_previous": "old"}
    if code is None:
        require_url_secret(request(query, path_secret=path_secret), credentials)
        return
    with pytest.raises(NotAuthentic) as caught:
        require_url_secret(request(query, path_secret=path_secret), credentials)
    assert caught.value.code == code


@pytest.mark.parametrize("credentials", [{}, {"secret": ""}])
def test_a_secret_in_the_path_that_nobody_asked_for_is_refused(credentials: dict[str, str]) -> None:
    require_url_secret(request(), credentials)
    with pytest.raises(NotAuthentic):
        require_url_secret(request(path_secret="anything"), credentials)


@pytest.mark.parametrize("password", ["new", "old"])
def test_two_passwords_are_right_while_one_is_changed(password: str) -> None:
    credentials = {"username": "acme", "password": "new", "password_previous": "old"}
    token = base64.b64encode(f"acme:{password}".encode()).decode()
    require_basic(request(headers={"authorization": f"Basic {token}"}), credentials)


@pytest.mark.parametrize("value", ["new", "old"])
def test_two_header_values_are_right_while_one_is_changed(value: str) -> None:
    credentials = {"header_name": "X-Key", "header_value": "new", "header_value_previous": "old"}
    require_header(request(headers={"x-key": value}), credentials)
