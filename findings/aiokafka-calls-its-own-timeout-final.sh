#!/usr/bin/env bash
# aiokafka 0.14.0 says by `error.retriable` whether a call may be tried again. It is True for a request that timed out at
# the broker (RequestTimedOutError), and False for KafkaTimeoutError, which the client raises itself when nothing comes
# in time: `end_offsets` and `beginning_offsets` of a broker that is slow or has stopped answering end in that one.
# Whoever retries by the attribute retries what a broker reports and gives up at the first broker that says nothing.
#
# Seen: a look-up whose requests are not answered ends in KafkaTimeoutError, retriable False; RequestTimedOutError and
# KafkaConnectionError have retriable True.
# What to do: treat KafkaTimeoutError as retriable beside the attribute.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aiokafka==0.14.0
cat > seen.py <<'PYTHON'
import asyncio
import sys

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, RequestTimedOutError


async def look_up():
    """What the client's look-up of offsets, behind `end_offsets`, ends in when its requests are not answered."""

    async def unanswered(timestamps):
        await asyncio.sleep(60)

    fetcher = Fetcher.__new__(Fetcher)
    fetcher._proc_offset_requests = unanswered
    try:
        await fetcher._retrieve_offsets({TopicPartition("t", 0): -1}, timeout_ms=500)
    except KafkaError as error:
        return error


error = asyncio.run(look_up())
seen = {
    "look-up": (type(error).__name__, error.retriable),
    **{kind.__name__: kind.retriable for kind in (KafkaTimeoutError, RequestTimedOutError, KafkaConnectionError)},
}
print(seen)
sys.exit(
    seen
    != {
        "look-up": ("KafkaTimeoutError", False),
        "KafkaTimeoutError": False,
        "RequestTimedOutError": True,
        "KafkaConnectionError": True,
    }
)
PYTHON
timeout 60 venv/bin/python seen.py
