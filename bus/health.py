"""`/livez`, `/readyz` and `/metrics` of every service, and its metrics.

Whoever reaches the port may ask for the first two, so they name no setting and no file. `/metrics` may want a token.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from importlib import metadata

import orjson
from prometheus_client import CollectorRegistry, Counter, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from bus.measures import Distributions, Exported, Read, Tally
from bus.metrics import metric_of
from bus.settings import BusSettings

_TEXT_FORMAT = "text/plain; version=0.0.4"
_UNKNOWN = orjson.dumps({"error": "Metrics need the token, as Authorization: Bearer TOKEN.", "code": "unauthorized"})
_SETTING = re.compile(r"\b(?:TRACKLY|KAFKA|SCHEMA|DATABASE|LIME|EZTEXTING)_[A-Z0-9_]+")
_FILE = re.compile(r"[\w.-]*(?:/[\w.@+-]*[A-Za-z][\w.@+-]*){2,}")


class Health:
    """State of one service. `ready` is set by the service; `checks` give further reasons why it is not ready.

    `progress` are numbers that grow while the service works towards being ready: who watches it is patient then.
    """

    def __init__(self, service: str, settings: BusSettings | None = None) -> None:
        token = None if settings is None else settings.metrics_token
        self._authorization = None if token is None else f"Bearer {token.get_secret_value()}".encode()
        self.service = service
        self.ready = False
        self.checks: list[Callable[[], str | None]] = []
        self.progress: list[Callable[[], float]] = []
        self.registry = CollectorRegistry()
        version = metadata.version("trackly")
        self.export("build_info", lambda: {(service, version): 1})

    def counter(self, name: str) -> Counter:
        """The counter of this name (`bus.metrics`), for what is counted seldom: a call costs microseconds."""
        metric = metric_of(self.service, name)
        return Counter(metric.name, metric.help, metric.labels, registry=self.registry)

    def tally(self, name: str) -> Tally:
        """The counter of this name, for the way of an event."""
        tally = Tally()
        self.export(name, lambda: tally)
        return tally

    def distributions(self, name: str) -> Distributions:
        """The histogram of this name."""
        metric = metric_of(self.service, name)
        distributions = Distributions(metric.buckets)
        self.export_distributions(name, distributions)
        return distributions

    def export_distributions(self, name: str, distributions: Distributions) -> None:
        """Export what is counted elsewhere as the histogram of this name."""
        self.registry.register(Exported(metric_of(self.service, name), distributions))

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """The gauge or counter of this name, without labels, read when it is asked for."""
        self.export(name, lambda: {(): read()})

    def export(self, name: str, read: Read) -> None:
        """The counter or gauge of this name: `read` gives its values by those of its labels when it is asked for."""
        self.registry.register(Exported(metric_of(self.service, name), read))

    def problems(self) -> list[str]:
        """Why the service is not ready; empty when it is."""
        problems = [problem for check in self.checks if (problem := check()) is not None]
        if not self.ready:
            problems.insert(0, "starting or stopping")
        return problems

    def readiness(self) -> tuple[int, bytes]:
        """Status and JSON body of `/readyz`."""
        problems = self.problems()
        progress = sum(read() for read in self.progress)
        body = {"ready": not problems, "problems": [*map(_for_strangers, problems)], "progress": progress}
        return (503 if problems else 200), orjson.dumps(body)

    async def livez(self, request: Request) -> Response:
        """The event loop runs."""
        return Response(b'{"live":true}', media_type="application/json")

    async def readyz(self, request: Request) -> Response:
        """The service can do its work; 503 with the reasons otherwise."""
        status, body = self.readiness()
        return Response(body, status, media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        """Metrics in the Prometheus text format; 401 without the token of the settings."""
        status, body, headers = self.measured(request.headers.get("authorization"))
        return Response(body, status, headers)

    def measured(self, authorization: str | None) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of `/metrics`."""
        given = (authorization or "").encode("utf-8", "surrogateescape")
        if self._authorization is not None and not hmac.compare_digest(given, self._authorization):
            return 401, _UNKNOWN, {"Content-Type": "application/json", "WWW-Authenticate": "Bearer"}
        return 200, generate_latest(self.registry), {"Content-Type": _TEXT_FORMAT}


def _for_strangers(problem: str) -> str:
    """A problem without the names of settings and files, which the log has."""
    return _FILE.sub("(a file)", _SETTING.sub("(a setting)", problem))
