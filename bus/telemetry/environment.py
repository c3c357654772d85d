"""Reads which signals OpenTelemetry's variables ask for; the SDK reads everything else.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Signal = Literal["traces", "metrics", "logs"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
EXPORTERS = ("otlp", "none")
PROTOCOLS = ("http/protobuf", "grpc")


class TelemetryWrong(ValueError):
    """An OpenTelemetry variable is invalid, or what it asks for is not installed. The text names it."""


def protocols(environment: Mapping[str, str]) -> dict[Signal, str]:
    """Return the protocol of each signal to export; may be empty.

    A signal is exported if its exporter is `otlp`, or if an endpoint is set and the exporter is not `none`. Raises
    TelemetryWrong.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return {}
    return {signal: _protocol(signal, environment) for signal in SIGNALS if _is_wanted(signal, environment)}


def metric_interval(environment: Mapping[str, str]) -> float:
    """Return the seconds between exports of metrics. Raises TelemetryWrong."""
    name = "OTEL_METRIC_EXPORT_INTERVAL"
    given = environment.get(name, "").strip() or "60000"
    if not given.isdigit() or not int(given):
        raise TelemetryWrong(f"{name}={given}: it is not a whole number above 0. Expected: milliseconds.")
    return int(given) / 1000


def _is_wanted(signal: Signal, environment: Mapping[str, str]) -> bool:
    exporter = _one_of(f"OTEL_{signal.upper()}_EXPORTER", EXPORTERS, environment)
    if exporter is not None:
        return exporter == "otlp"
    return any(
        environment.get(name, "").strip() for name in (ENDPOINT, f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    )


def _protocol(signal: Signal, environment: Mapping[str, str]) -> str:
    own = _one_of(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", PROTOCOLS, environment)
    return own or _one_of("OTEL_EXPORTER_OTLP_PROTOCOL", PROTOCOLS, environment) or PROTOCOLS[0]


def _one_of(name: str, expected: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    given = environment.get(name, "").strip().lower()
    if given and given not in expected:
        raise TelemetryWrong(f"{name}={given}: trackly does not support it. Expected: {' or '.join(expected)}.")
    return given or None
