"""What is said where no broker answers."""

from __future__ import annotations

from typing import Any

import pytest

from bus import admin
from bus.admin import BrokerUnavailable, connect
from bus.up_files import DEFAULT_SERVERS


@pytest.mark.parametrize(("server", "is_told"), [(DEFAULT_SERVERS, True), ("kafka.example:9092", False)])
def test_where_nothing_names_a_broker_the_data_directory_is_named(
    server: str, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(admin.socket, "create_connection", refuse)
    with pytest.raises(BrokerUnavailable) as caught:
        connect({"bootstrap_servers": [server]}, timeout=0)
    assert ("TRACKLY_DATA_DIR" in str(caught.value)) is is_told
