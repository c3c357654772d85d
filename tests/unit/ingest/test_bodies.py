"""How a callback's body is read: bounded in bytes, decoded, and counted from its first byte."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Sequence
from typing import Any

import pytest

from accounts.model import Accounts
from ingest.errors import Refused
from ingest.incoming import Incoming
from ingest.intake import Intake
from ingest.settings import IngestSettings

BODY = b'{"results": []}' * 20
LIMIT = 1 << 20


def intake(**changes: int) -> Intake:
    writer: Any = None
    settings = IngestSettings(bootstrap_servers="unused:9092").model_copy(update=changes)
    return Intake(settings, writer, Accounts())


def request(*chunks: bytes, coding: str = "", then: asyncio.Future[Any] | None = None) -> Incoming:
    headers = [(b"content-encoding", each.encode()) for each in coding.split("; ") if each]
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        if then is not None and len(messages) == 1:
            await then
        return messages.pop(0)

    scope = {"type": "http", "headers": headers, "method": "POST", "path": "/", "query_string": b""}
    return Incoming(scope, receive, path="/", name="infobip", rest=None, query="")


@pytest.mark.parametrize(
    ("chunks", "coding"),
    [
        ((BODY,), ""),
        ((BODY[:7], BODY[7:]), ""),
        ((gzip.compress(BODY, mtime=0),), "gzip"),
        ((BODY,), "identity"),
        ((gzip.compress(zlib.compress(BODY), mtime=0),), "deflate; gzip"),  # in two fields
    ],
)
async def test_a_body_is_given_without_its_coding(chunks: Sequence[bytes], coding: str) -> None:
    asked = request(*chunks, coding=coding)
    async with intake().body(asked, LIMIT) as body:
        assert body == BODY
        assert (asked.sent_body or body) == b"".join(chunks)


async def test_what_is_not_what_its_coding_says_is_kept_as_it_came() -> None:
    async with intake().body(request(BODY, coding="gzip"), LIMIT) as body:
        assert body == BODY


@pytest.mark.parametrize(("sent", "coding"), [(BODY, ""), (gzip.compress(BODY, mtime=0), "gzip")])
async def test_the_bound_holds_for_what_is_unpacked_too(sent: bytes, coding: str) -> None:
    with pytest.raises(Refused) as refused:
        async with intake(max_body_bytes=len(BODY) - 1).body(request(sent, coding=coding), LIMIT):
            pass
    assert (refused.value.status, refused.value.code) == (413, "body_too_large")


@pytest.mark.parametrize(("own", "of_all"), [(50, 100), (100, 50)])
async def test_the_smaller_bound_of_the_provider_and_of_the_deployment_holds(own: int, of_all: int) -> None:
    door = intake(max_body_bytes=of_all)
    async with door.body(request(b"x" * 50), own) as body:
        assert len(body) == 50
    with pytest.raises(Refused) as refused:
        async with door.body(request(b"x" * 51), own):
            pass
    assert refused.value.code == "body_too_large"


async def test_bytes_of_a_body_that_is_still_arriving_count_as_pending() -> None:
    door, rest = intake(max_pending_bytes=100), asyncio.get_running_loop().create_future()
    slow = door.body(request(b"x" * 60, then=rest), LIMIT)
    reading = asyncio.ensure_future(slow.__aenter__())
    await asyncio.sleep(0)
    with pytest.raises(Refused) as refused:
        async with door.body(request(b"y" * 60), LIMIT):
            pass
    assert refused.value.code == "not_stored"
    rest.set_result(None)
    assert await reading == b"x" * 60
    await slow.__aexit__(None, None, None)
    async with door.body(request(b"y" * 60), LIMIT) as body:
        assert len(body) == 60


async def test_nothing_stays_pending_of_a_body_that_was_refused() -> None:
    door = intake(max_body_bytes=50, max_pending_bytes=100)
    for _ in range(5):
        with pytest.raises(Refused):
            async with door.body(request(b"x" * 40, b"x" * 40), LIMIT):
                pass
    async with door.body(request(b"x" * 50), LIMIT) as body:
        assert len(body) == 50
