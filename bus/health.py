"""`/livez`, `/readyz` and `/metrics` of every service, and its metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from starlette.requests import Request
from starlette.responses import Response

PREFIX = "trackly"


class Health:
    """State of one service. `ready` is set by the service; `checks` give further reasons why it is not ready."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.ready = False
        self.checks: list[Callable[[], str | None]] = []
        self.registry = CollectorRegistry()

    def counter(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        """A counter `trackly_{service}_{name}_total`."""
        return Counter(name, meaning, labels, namespace=PREFIX, subsystem=self.service, registry=self.registry)

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """A gauge `trackly_{service}_{name}` that is read when it is asked for."""
        gauge = Gauge(name, meaning, namespace=PREFIX, subsystem=self.service, registry=self.registry)
        gauge.set_function(read)

    def problems(self) -> list[str]:
        """Why the service is not ready; empty when it is."""
        problems = [problem for check in self.checks if (problem := check()) is not None]
        if not self.ready:
            problems.insert(0, "starting or stopping")
        return problems

    def readiness(self) -> tuple[int, bytes]:
        """Status and JSON body of `/readyz`."""
        problems = self.problems()
        return (503 if problems else 200), orjson.dumps({"ready": not problems, "problems": problems})

    async def livez(self, request: Request) -> Response:
        """The event loop runs."""
        return Response(b'{"live":true}', media_type="application/json")

    async def readyz(self, request: Request) -> Response:
        """The service can do its work; 503 with the reasons otherwise."""
        status, body = self.readiness()
        return Response(body, status, media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        """Metrics in the Prometheus text format."""
        return Response(generate_latest(self.registry), media_type="text/plain; version=0.0.4")


class HealthServer:
    """The three paths over HTTP for services that have no web server of their own. Port 0: none."""

    def __init__(self, health: Health, host: str, port: int) -> None:
        self._health = health
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        if not self._port:
            return
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _readyz(self, request: web.Request) -> web.Response:
        status, body = self._health.readiness()
        return web.Response(body=body, status=status, content_type="application/json")

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._health.registry), content_type="text/plain")
