"""Which records of a compacted topic contain a number."""

from __future__ import annotations

import pytest

from bus.memory import Record
from trackly.commands.erase.remains import names

NUMBER = "+15551230077"


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        (b"acme:+18005550001:+15551230077", b"row", True),
        (b"acme:+18005550001:+15551230077", None, True),
        (b"acme:+18005550001:anon_1", b"..+15551230077.", True),
        (b"acme:+18005550001:anon_1", b"row", False),
        (b"acme:+18005550001:+155512300771", b"row", False),
        (b"other:+18005550001:+15551230077", b"row", False),
        (b"acme2:+18005550001:+15551230077", b"row", False),
        (None, b"+15551230077", False),
    ],
)
def test_a_record_holds_a_number_of_its_account_in_key_or_value(
    key: bytes | None, value: bytes | None, found: bool
) -> None:
    assert names(Record("sms.contacts", 0, 0, key, value), "acme", NUMBER) is found
