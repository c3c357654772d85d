"""Serves the health endpoints of services without a web server of their own."""

from __future__ import annotations

from aiohttp import web

from bus.health import Health


class HealthServer:
    """Serves the three health paths over HTTP. Port 0 disables it."""

    def __init__(self, health: Health, host: str, port: int) -> None:
        self._health = health
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Start listening. Raises OSError, naming the settings, if the port is taken."""
        if not self._port:
            return
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            host, port = (f"TRACKLY_{self._health.service.upper()}_{each}" for each in ("HOST", "PORT"))
            reason = (
                f"{error.strerror or error}. Choose an address of this machine with {host}, and a free port with {port}"
            )
            raise OSError(error.errno, f"the health endpoints cannot listen: {reason}") from None

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
        status, body, headers = self._health.measured(request.headers.get("Authorization"))
        return web.Response(body=body, status=status, headers=headers)
