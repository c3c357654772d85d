"""An ASGI application on a port of its own, for clients that are not test clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


@contextmanager
def served(app: Any, **options: Any) -> Iterator[str]:
    """The application's URL for as long as the block lasts. `options` are uvicorn's."""
    options = {"interface": "asgi3", "log_level": "error", "lifespan": "off", **options}
    with running(uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, **options))) as url:
        yield url


@contextmanager
def running(server: uvicorn.Server) -> Iterator[str]:
    """The URL of a server for as long as the block lasts."""
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
