"""Whatever a request contains, it occupies the loop in proportion to its bytes: no kind has quadratic cost.

`python -m bench doors` measures the times.
"""

from __future__ import annotations

import pytest

from bench.doors.hostile import to_console
from inbound.protocol import bounded
from tests.doors import watched
from tests.http_servers import served
from tests.unit.console.console_parts import Api

RATIO = 120


@pytest.mark.timeout(300)
def test_no_request_takes_the_loop_for_much_longer_than_a_plain_one_of_its_size() -> None:
    api = Api(api_rate=10_000.0, api_burst=10_000)
    protocol = bounded(api.settings.limits())
    with served(api.app, http=protocol, ws="none", loop="asyncio") as url, watched(url) as loop:
        assert loop.too_expensive(to_console(api.acme), RATIO) == {}
