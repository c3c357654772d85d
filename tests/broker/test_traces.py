"""Traces, metrics, and logs of real services, as received by the OpenTelemetry Collector's own receiver."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from accounts.model import Config
from schemas.records import AccountConfig, EndpointConfig, ListConfig
from tests.cluster import Cluster, running
from tests.go_tools import go_program
from tests.http_servers import served
from tests.patience import PATIENCE, http

pytestmark = pytest.mark.broker

SOURCE = Path(__file__).parents[1] / "outside" / "collector"
NUMBER, LIST, SECRET = "15550100007", "+18005550001", "s3cret-of-lime"
STEPS = {"callback", "normalize", "normalize batch", "contacts", "attempt"}
SERVICES = ("ingest", "streams-1", "sinks-1")


class Collector:
    """What a collector has received so far: lines of OTLP JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def text(self) -> str:
        return self._path.read_text("utf-8")

    def lines(self) -> list[dict[str, Any]]:
        """Return all complete lines."""
        return [json.loads(line) for line in self.text.splitlines(keepends=True) if line.endswith("\n")]

    def spans(self) -> dict[str, list[dict[str, Any]]]:
        """Return spans by name, each with the `service` that it comes from."""
        found: dict[str, list[dict[str, Any]]] = {}
        for resource in chain.from_iterable(line.get("resourceSpans", ()) for line in self.lines()):
            service = attributes(resource["resource"])["service.name"]
            for span in chain.from_iterable(scope["spans"] for scope in resource["scopeSpans"]):
                found.setdefault(span["name"], []).append({**span, "service": service})
        return found

    def metrics(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return each metric's last value, by service and name."""
        return {
            (attributes(resource["resource"])["service.name"], metric["name"]): metric
            for resource in chain.from_iterable(line.get("resourceMetrics", ()) for line in self.lines())
            for scope in resource["scopeMetrics"]
            for metric in scope["metrics"]
        }

    def logs(self) -> list[dict[str, Any]]:
        """Return the logged lines of services."""
        return [
            record
            for resource in chain.from_iterable(line.get("resourceLogs", ()) for line in self.lines())
            for scope in resource["scopeLogs"]
            for record in scope["logRecords"]
        ]

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.text[-2_000:]
            time.sleep(0.2)


@contextmanager
def collecting(directory: Path) -> Iterator[tuple[Collector, dict[str, str]]]:
    """A collector, and its addresses by protocol."""
    path = directory / "collected.jsonl"
    with path.open("wb") as out:
        process = subprocess.Popen([go_program("collector", SOURCE)], stdout=out)
    collector = Collector(path)
    try:
        collector.until(lambda: bool(collector.lines()))
        yield collector, collector.lines()[0]
    finally:
        process.kill()
        process.wait()


def attributes(of: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in of.get("attributes", ())}


class Customer:
    """Receives webhooks and keeps their `traceparent`."""

    def __init__(self) -> None:
        self.traces: list[str] = []
        self.status = 200

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        self.traces.append(dict(scope["headers"]).get(b"traceparent", b"").decode())
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body"})


def test_a_callback_is_one_trace_from_ingest_to_the_customer(broker: str, tmp_path: Path) -> None:
    customer = Customer()
    with served(customer) as url, collecting(tmp_path) as (collector, at):
        configs: list[Config] = [
            AccountConfig(id="acme", name="Acme"),
            ListConfig(account="acme", number=LIST),
            EndpointConfig(account="acme", id="crm", url=f"{url}/hook", events=("delivery",), secret="whsec_c2VjcmV0"),
        ]
        environment = {
            "LIME_WEBHOOK_SECRET": SECRET,
            "OTEL_EXPORTER_OTLP_ENDPOINT": at["http"],
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": at["grpc"],
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_BLRP_SCHEDULE_DELAY": "200",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        }
        with running(broker, tmp_path, "otel", configs, *SERVICES, **environment) as cluster:
            post(cluster, "traced-1")
            collector.until(lambda: collector.spans().keys() >= STEPS)
            judge_spans(collector.spans(), customer)
            collector.until(lambda: is_counted(collector.metrics()))
            customer.status = 410
            post(cluster, "traced-2")
            collector.until(lambda: "wants no more webhooks" in str(collector.logs()))
            for name in SERVICES:
                cluster.stop(name)
        assert not [word for word in (NUMBER, SECRET, "traced-", "/hook") if word in collector.text]


def post(cluster: Cluster, message_id: str) -> None:
    """Post a callback that is refused, and one that is accepted."""
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks"
    report = {
        "messageId": message_id,
        "to": NUMBER,
        "sender": LIST,
        "status": {"groupId": 3, "id": 5, "name": "DELIVERED_TO_HANDSET"},
        "doneAt": "2026-11-20T10:15:32.000+0000",
    }
    http.get(f"{url}/lime/not-{SECRET}", params={"account": "acme", "mobile_number": NUMBER})
    assert http.post(f"{url}/infobip?account=acme", json={"results": [report]}).status_code == 200


def judge_spans(spans: dict[str, list[dict[str, Any]]], customer: Customer) -> None:
    """Assert that there is one trace, from the callback to the customer's request."""
    [attempt], [contacts], [normalize] = spans["attempt"], spans["contacts"], spans["normalize"]
    [callback] = [each for each in spans["callback"] if each["traceId"] == attempt["traceId"]]
    assert [each["service"] for each in (callback, normalize, contacts, attempt)] == [
        "trackly-ingest",
        "trackly-streams",
        "trackly-streams",
        "trackly-sinks",
    ]
    assert callback.get("parentSpanId", "") == ""
    for parent, child in ((callback, normalize), (normalize, contacts), (contacts, attempt)):
        assert (child["traceId"], child["parentSpanId"]) == (parent["traceId"], parent["spanId"])
    [batch] = spans["normalize batch"]
    assert [link["spanId"] for link in batch["links"]] == [callback["spanId"]]
    assert [link["spanId"] for link in normalize["links"]] == [batch["spanId"]]
    assert customer.traces == [f"00-{attempt['traceId']}-{attempt['spanId']}-01"]
    assert attributes(attempt)["trackly.endpoint"] == "acme/crm"
    assert int(attributes(attempt)["http.response.status_code"]) == 200


def is_counted(metrics: dict[tuple[str, str], dict[str, Any]]) -> bool:
    """Whether the callback and its attempt are in the metrics."""
    stored = metrics.get(("trackly-ingest", "trackly_ingest_callbacks"), {"sum": {"dataPoints": []}})
    attempts = metrics.get(("trackly-sinks", "trackly_sinks_attempt_seconds"), {"histogram": {"dataPoints": []}})
    found = [attributes(point) for point in stored["sum"]["dataPoints"]]
    counts = [int(point.get("count", 0)) for point in attempts["histogram"]["dataPoints"]]
    return {"provider": "infobip", "answer": "stored"} in found and sum(counts) == 1


def test_a_collector_that_is_away_stops_nothing(broker: str, tmp_path: Path) -> None:
    configs: list[Config] = [AccountConfig(id="acme", name="Acme")]
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with running(broker, tmp_path, "otela", configs, "ingest", **environment) as cluster:
        url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
        assert http.post(url, json={"results": []}).status_code == 200
        began = time.monotonic()
        cluster.stop("ingest")
        assert time.monotonic() - began < 15
