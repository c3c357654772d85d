"""Every service's `/livez`, `/readyz`, and `/metrics`, and its metrics.

The first two answer anyone who reaches the port, so they never name a setting or file. `/metrics` may require a token.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable

import orjson
from prometheus_client import CollectorRegistry, Counter, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from bus.measures import Distributions, Exported, Read, Tally
from bus.metrics import metric_of
from bus.settings import BusSettings
from bus.version import version

_TEXT_FORMAT = "text/plain; version=0.0.4"
_UNKNOWN = orjson.dumps({"error": "Metrics require the token, as Authorization: Bearer TOKEN.", "code": "unauthorized"})
_SETTING = re.compile(r"\b(?:TRACKLY|KAFKA|SCHEMA|DATABASE|LIME|EZTEXTING)_[A-Z0-9_]+")
_FILE = re.compile(r"[\w.-]*(?:/[\w.@+-]*[A-Za-z][\w.@+-]*){2,}")


class Health:
    """State of one service. The service sets `ready`; `checks` return further reasons why it is not ready.

    `progress` holds numbers that grow while the service works towards readiness, which keeps watchers patient.
    """

    def __init__(self, service: str, settings: BusSettings | None = None) -> None:
        token = None if settings is None else settings.metrics_token
        self._authorization = None if token is None else f"Bearer {token.get_secret_value()}".encode()
        self.service = service
        self.ready = False
        self.checks: list[Callable[[], str | None]] = []
        self.progress: list[Callable[[], float]] = []
        self.registry = CollectorRegistry()
        self.export("build_info", lambda: {(service, version()): 1})

    def counter(self, name: str) -> Counter:
        """Return the counter of this name (`bus.metrics`), for rare events: a call costs microseconds."""
        metric = metric_of(self.service, name)
        return Counter(metric.name, metric.help, metric.labels, registry=self.registry)

    def tally(self, name: str) -> Tally:
        """Return the counter of this name, for the hot path."""
        tally = Tally()
        self.export(name, lambda: tally)
        return tally

    def distributions(self, name: str) -> Distributions:
        """Return the histogram of this name."""
        metric = metric_of(self.service, name)
        distributions = Distributions(metric.buckets)
        self.export_distributions(name, distributions)
        return distributions

    def export_distributions(self, name: str, distributions: Distributions) -> None:
        """Export values measured elsewhere as the histogram of this name."""
        self.registry.register(Exported(metric_of(self.service, name), distributions))

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """Register an unlabeled gauge or counter, read on each scrape."""
        self.export(name, lambda: {(): read()})

    def export(self, name: str, read: Read) -> None:
        """Register a counter or gauge: on each scrape, `read` returns values by label values."""
        self.registry.register(Exported(metric_of(self.service, name), read))

    def problems(self) -> list[str]:
        """Return the reasons why the service is not ready; empty if it is."""
        problems = [problem for check in self.checks if (problem := check()) is not None]
        if not self.ready:
            problems.insert(0, "starting or stopping")
        return problems

    def readiness(self) -> tuple[int, bytes]:
        """Return status and JSON body of `/readyz`."""
        problems = self.problems()
        progress = sum(read() for read in self.progress)
        body = {"ready": not problems, "problems": [*map(_for_strangers, problems)], "progress": progress}
        return (503 if problems else 200), orjson.dumps(body)

    async def livez(self, request: Request) -> Response:
        """Answer 200: the event loop runs."""
        return Response(b'{"live":true}', media_type="application/json")

    async def readyz(self, request: Request) -> Response:
        """Answer 200 if the service can do its work, 503 with the reasons otherwise."""
        status, body = self.readiness()
        return Response(body, status, media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        """Answer with metrics in the Prometheus text format; 401 without the configured token."""
        status, body, headers = self.measured(request.headers.get("authorization"))
        return Response(body, status, headers)

    def measured(self, authorization: str | None) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body, and headers of `/metrics`."""
        given = (authorization or "").encode("utf-8", "surrogateescape")
        if self._authorization is not None and not hmac.compare_digest(given, self._authorization):
            return 401, _UNKNOWN, {"Content-Type": "application/json", "WWW-Authenticate": "Bearer"}
        return 200, generate_latest(self.registry), {"Content-Type": _TEXT_FORMAT}


def _for_strangers(problem: str) -> str:
    """Return a problem without names of settings and files, which only the log has."""
    return _FILE.sub("(a file)", _SETTING.sub("(a setting)", problem))
