#!/usr/bin/env bash
# aiokafka 0.14.0: a fetch that failed sleeps for `retry_backoff_ms` inside its `except` clause. Where a consumer is
# stopped in that time, the sleep is cancelled and nothing there catches it, so `Fetcher.close`, which waits for the
# cancelled task, ends in CancelledError, and so does `AIOKafkaConsumer.stop`. Nobody cancelled the caller: its
# `cancelling()` is 0. What `stop` would do next is left out: the client's connections stay open, and a second `stop`
# returns at once because the consumer counts as closed.
#
# Seen: close() of a fetcher whose fetch failed a moment ago: CancelledError, cancelling() 0. Of one whose fetch is under
# way: no exception.
# What to do: cancel and gather the fetcher's pending tasks before it is closed.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aiokafka==0.14.0
cat > seen.py <<'PYTHON'
import asyncio
import logging
import sys
from types import SimpleNamespace

from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import RequestTimedOutError
from aiokafka.protocol.fetch import FetchRequest

logging.disable()


async def times_out(*arguments, **options):
    raise RequestTimedOutError


async def is_under_way(*arguments, **options):
    await asyncio.sleep(60)


async def closed(send):
    """What close() ends in while a fetch that goes out by `send` is pending."""
    client = SimpleNamespace(_loop=asyncio.get_running_loop(), _metadata_max_age_ms=10_000, send=send)
    fetcher = Fetcher(client, SubscriptionState(), retry_backoff_ms=60_000)
    await asyncio.sleep(0.1)  # it waits for partitions now
    fetch = asyncio.create_task(fetcher._proc_fetch_request(None, 1, FetchRequest(500, 1, 1, 0, [])))
    fetcher._pending_tasks.add(fetch)
    await asyncio.sleep(0.1)
    try:
        await fetcher.close()
    except asyncio.CancelledError:
        return f"CancelledError, cancelling() {asyncio.current_task().cancelling()}"
    return "no exception"


seen = {"failed": asyncio.run(closed(times_out)), "under way": asyncio.run(closed(is_under_way))}
print(seen)
sys.exit(seen != {"failed": "CancelledError, cancelling() 0", "under way": "no exception"})
PYTHON
timeout 60 venv/bin/python seen.py
