"""The demo's customer: verifies every webhook, fails at first, and remembers what it received."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections import Counter

from aiohttp import web

from trackly.commands.demo.callbacks import webhook_name

OUTAGE = 4.0
"""Seconds from the first webhook during which the receiver answers 503."""


class Receiver:
    """An endpoint at `/webhooks`. `attempts` counts requests by webhook id, including those answered 503."""

    def __init__(self, port: int, secret: str) -> None:
        self.url = f"http://127.0.0.1:{port}/webhooks"
        self.attempts: Counter[str] = Counter()
        self.arrived: dict[str, str] = {}
        self.failed_on_purpose = 0
        self.wrong_signatures = 0
        self.unexpected_repeats = 0
        self._first_at = 0.0
        self._port = port
        self._secret = secret
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_post("/webhooks", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self._verified(request, body):
            self.wrong_signatures += 1
            return web.Response(status=401)
        webhook_id = request.headers["webhook-id"]
        self.attempts[webhook_id] += 1
        self._first_at = self._first_at or time.monotonic()
        if time.monotonic() < self._first_at + OUTAGE:
            self.failed_on_purpose += 1
            return web.Response(status=503)
        name = webhook_name(json.loads(body))
        if name in self.arrived:
            self.unexpected_repeats += 1
        self.arrived.setdefault(name, webhook_id)
        return web.Response(status=204)

    def retried(self) -> set[str]:
        """Names of webhooks that arrived after several attempts."""
        return {name for name, webhook_id in self.arrived.items() if self.attempts[webhook_id] > 1}

    def _verified(self, request: web.Request, body: bytes) -> bool:
        """Check both signatures as documented for customers."""
        own = "sha256=" + hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        key = base64.b64decode(self._secret.removeprefix("whsec_"))
        signed = b".".join(
            [request.headers["webhook-id"].encode(), request.headers["webhook-timestamp"].encode(), body]
        )
        standard = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return hmac.compare_digest(own, request.headers["X-Trackly-Signature"]) and hmac.compare_digest(
            standard, request.headers["webhook-signature"]
        )
