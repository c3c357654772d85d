"""Sends a delivery as a signed request. Secrets are resolved periodically and never written down."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from accounts.secrets import SecretMissing, resolve
from bus.clock import Clock
from outbound.formats import JSON
from outbound.outcomes import Outcome
from outbound.redaction import redacted_head, secrets_in, secrets_in_header
from outbound.signing import Signer, secrets_at
from schemas.records import EndpointConfig
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.spans import begun, ended

if TYPE_CHECKING:
    from bus.telemetry.tracing import Tracing

log = logging.getLogger(__name__)

SECRET_SECONDS = 5.0
"""Seconds for which a resolved secret is used: reading a file for every webhook would block the loop."""

COMPLAINT_SECONDS = 60.0
"""Seconds between log lines about a missing secret."""

Post = Callable[[str, dict[str, str], bytes, bool], Awaitable[Outcome]]
"""`Sender.post`: URL, headers, body, whether http is allowed."""


class SignedPost:
    """Sends to one endpoint, with the secrets in its settings. `name` is for the log."""

    def __init__(self, name: str, post: Post, clock: Clock, tracing: Tracing | None = None) -> None:
        self._name = name
        self._post = post
        self._clock = clock
        self._tracing = tracing
        self._signer: Signer | None = None
        self._secrets: tuple[str | None, ...] = ()
        self._headers: dict[str, str] = {}
        self._resolved_at = self._headers_at = self._complained_at = float("-inf")

    def forget(self) -> None:
        """Resolve secrets again for the next request: the settings have changed."""
        self._resolved_at = self._headers_at = float("-inf")

    async def __call__(self, delivery: Delivery, config: EndpointConfig, allow_http: bool) -> tuple[Outcome, str]:
        """Return a request's outcome, and the URL it was sent to. An endpoint with a missing secret is sent nothing."""
        url = delivery.url or config.url
        try:
            headers = self._signed(delivery, config)
            own = self._own_headers(config) if config.headers else {}
        except SecretMissing as missing:
            self._complain(missing)
            return Outcome(error_class="secret_missing"), url
        if delivery.content_type != JSON:
            headers["Content-Type"] = delivery.content_type
        span = None if self._tracing is None else begun(self._tracing, delivery)
        trace = delivery.traceparent if span is None else span.traceparent
        if trace is not None:
            headers["traceparent"] = trace.decode("latin-1")
        signed_with = self._secrets[2:]  # they may change during the request
        outcome = None
        try:
            outcome = await self._post(url, {**own, **headers} if own else headers, delivery.body, allow_http)
        finally:
            if span is not None:
                ended(span, outcome)
        if outcome.head:
            of_headers = itertools.chain.from_iterable(map(secrets_in_header, own.values()))
            secrets = (*filter(None, signed_with), *of_headers, *secrets_in(url))
            outcome = replace(outcome, head=redacted_head(outcome.head, secrets))
        return outcome, url

    def _signed(self, delivery: Delivery, config: EndpointConfig) -> dict[str, str]:
        """Return a request's headers, signed if there is a secret."""
        if not config.secret:
            return {"webhook-id": delivery.event_id}
        now = self._clock.now_ms()
        return self._signer_now(*secrets_at(config, now)).headers(delivery.event_id, delivery.body, now // 1_000)

    def _own_headers(self, config: EndpointConfig) -> dict[str, str]:
        """Return the endpoint's own headers. Their values may be secrets, so they are resolved the same way."""
        now = self._clock.monotonic()
        if now - self._headers_at >= SECRET_SECONDS:
            self._headers = {name: resolve(value) for name, value in config.headers.items()}
            self._headers_at = now
        return self._headers

    def _signer_now(self, reference: str, following: str | None) -> Signer:
        now = self._clock.monotonic()
        references = (reference, following)
        if self._signer is None or references != self._secrets[:2] or now - self._resolved_at >= SECRET_SECONDS:
            secrets = (*references, resolve(reference), self._following(following))
            if self._signer is None or secrets != self._secrets:
                self._secrets, self._signer = secrets, Signer(*secrets[2:])
            self._resolved_at = now
        return self._signer

    def _following(self, reference: str | None) -> str | None:
        """Return the next secret. While it is unavailable, the current one signs alone."""
        try:
            return None if reference is None else resolve(reference)
        except SecretMissing as missing:
            self._complain(missing)
            return None

    def _complain(self, missing: SecretMissing) -> None:
        now = self._clock.monotonic()
        if now - self._complained_at >= COMPLAINT_SECONDS:
            self._complained_at = now
            log.error("endpoint %s: %s", self._name, missing)
