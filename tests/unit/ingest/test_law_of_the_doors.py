"""Whatever a request contains, it occupies the loop in proportion to its bytes: no kind has quadratic cost.

`python -m bench doors` measures the times.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.doors.hostile import to_ingest
from inbound.protocol import bounded
from ingest.protocol import TolerantProtocol
from schemas.records import AccountConfig
from tests.doors import watched
from tests.http_servers import served
from tests.unit.ingest.ingest_parts import Door

RATIO = 1_000
"""What costs by a square of its size costs many thousand times what a plain request does; the rest, some thirty times,
and some hundred on a machine that has much else to do."""


@pytest.mark.timeout(300)
def test_no_request_takes_the_loop_for_much_longer_than_a_plain_one_of_its_size(tmp_path: Path) -> None:
    credentials = {"twilio": {"auth_token": "t"}, "infobip": {"secret": "a", "secret_previous": "b"}}
    account = AccountConfig(id="acme", name="Acme", providers=credentials)
    door = Door(tmp_path, account, lime_webhook_secret="lime-secret", eztexting_webhook_secret="ez-secret")
    protocol = bounded(door.ingest.settings.limits(), TolerantProtocol)
    with served(door.app, http=protocol, ws="none", loop="asyncio") as url, watched(url) as loop:
        assert loop.too_expensive(to_ingest(), RATIO) == {}
