"""OpenTelemetry's variables are followed, and cost nothing if they request nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bus.telemetry.environment import TelemetryWrong, metric_interval, protocols
from tests.patience import PATIENCE

HTTP, GRPC = "http/protobuf", "grpc"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, {}),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, {}),
        (ENDPOINT, {"traces": HTTP, "metrics": HTTP, "logs": HTTP}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, {}),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, {}),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "false", "OTEL_LOGS_EXPORTER": "none"}, {"traces": HTTP, "metrics": HTTP}),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, {"traces": HTTP}),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, {"traces": HTTP}),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {"traces": GRPC}),
        (
            {**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": HTTP},
            {"traces": GRPC, "metrics": GRPC, "logs": HTTP},
        ),
    ],
)
def test_signals_are_exported_that_are_asked_for(environment: dict[str, str], found: dict[str, str]) -> None:
    assert protocols(environment) == found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10s"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
    ],
)
def test_what_is_not_known_is_named(name: str, value: str) -> None:
    environment = {**ENDPOINT, name: value}
    read = metric_interval if name.endswith("INTERVAL") else protocols
    with pytest.raises(TelemetryWrong, match=f"^{name}={value}: .* Expected: "):
        read(environment)


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=PATIENCE
    )


def test_no_sdk_is_imported_while_telemetry_is_off() -> None:
    done = run(
        "import sys, streams.app, sinks.app, ingest.app\n"
        "from bus.telemetry import current\n"
        "current.start('ingest')\n"
        "assert (current.tracing(), current.metrics()) == (None, None)\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_what_is_not_installed_is_named() -> None:
    done = run(
        "import sys\n"
        "sys.modules['opentelemetry.sdk'] = None\n"
        "from bus.telemetry import current\n"
        "current.start('ingest')",
        OTEL_TRACES_EXPORTER="otlp",
    )
    assert "pip install 'trackly[otel]', or set OTEL_SDK_DISABLED=true" in done.stderr
