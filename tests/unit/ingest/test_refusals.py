"""A refused request leaves nothing behind."""

from __future__ import annotations

import gc
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from ingest.app import create_app
from ingest.settings import IngestSettings


@pytest.fixture(autouse=True)
def nothing_old() -> None:
    """Hide objects of other tests from the garbage collector: scanning them all takes a second."""
    gc.collect()
    gc.freeze()


def requests_alive() -> int:
    gc.collect()
    return sum(isinstance(each, Request) for each in gc.get_objects())


@pytest.mark.parametrize("path", ["/api/webhook-feedbacks/nobody", "/api/postbacks/nobody", "/nowhere"])
async def test_a_request_that_was_refused_is_not_kept_in_memory(path: str, tmp_path: Path) -> None:
    app = create_app(IngestSettings(data_dir=tmp_path))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        before = requests_alive()
        for _ in range(5):
            assert (await client.post(path, content=b"x")).status_code == 404
        assert requests_alive() <= before
