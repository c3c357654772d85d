"""Serves an ASGI application on its own port, for clients that are not test clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


@contextmanager
def served(app: Any, **options: Any) -> Iterator[str]:
    """Yield the application's URL. `options` are uvicorn's."""
    options = {"interface": "asgi3", "log_level": "error", "lifespan": "off", **options}
    with running(uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, **options))) as url:
        yield url


@contextmanager
def running(server: uvicorn.Server) -> Iterator[str]:
    """Yield the URL of a server."""
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
