"""Database addresses: invalid ones are refused without repeating the password, and no engine shows one."""

from __future__ import annotations

import pytest

from database.engine import DatabaseUrlError, open_engine


@pytest.mark.parametrize(
    "url",
    [
        "nonsense s3cret",
        "postgresql://u:pa@ss:s3cret@host/db",
        "postgresql://u:s3cret@host:port/db",
        "postgresql://u:s3cret@[::1/db",
        "mysql://u:s3cret@host/db",
        "oracle://host/db?password=s3cret",
    ],
)
def test_what_is_no_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(DatabaseUrlError, match="DATABASE_URL") as caught:
        open_engine(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://u:s3cret@h/db", "postgresql://h/db?user=u&password=s3cret"])
def test_an_engine_shows_no_password_and_has_it(url: str) -> None:
    engine = open_engine(url)
    assert "s3cret" not in f"{engine} {engine!r} {engine.url}"
    arguments = engine.dialect.create_connect_args(engine.url)[1]
    assert (arguments["user"], arguments["password"]) == ("u", "s3cret")
    engine.dispose()
