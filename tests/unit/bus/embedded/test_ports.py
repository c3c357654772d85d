"""The choice of ports."""

from __future__ import annotations

import pytest

from bus.embedded import broker
from bus.embedded.broker import free_port


def test_no_port_is_returned_twice_while_others_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "PORTS", broker.PORTS[:64])
    monkeypatch.setattr(broker, "_given", set[int]())
    ports = [free_port() for _ in range(32)]
    assert len(set(ports)) == 32
    assert {free_port() for _ in range(64)} <= set(broker.PORTS)
