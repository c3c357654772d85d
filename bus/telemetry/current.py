"""This process's telemetry. Off, with nothing imported, unless OpenTelemetry's variables ask for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bus.telemetry.environment import TelemetryWrong, protocols

if TYPE_CHECKING:
    from bus.telemetry.metrics import MetricExport
    from bus.telemetry.pipeline import Pipeline
    from bus.telemetry.tracing import Tracing

_pipeline: Pipeline | None = None


def start(service: str, instance: str | None = None) -> None:
    """Start if the environment asks for it. Call it after logging is configured. Raises TelemetryWrong."""
    global _pipeline
    wanted = protocols(os.environ)
    if not wanted:
        return
    try:
        from bus.telemetry.pipeline import Pipeline

        _pipeline = Pipeline(service, instance, wanted)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(("opentelemetry", "grpc")):
            raise
        raise TelemetryWrong(
            f"The OTEL_* variables ask for {', '.join(wanted)}, but {error.name} is not installed: pip install "
            "'trackly[otel]', or set OTEL_SDK_DISABLED=true."
        ) from None


def tracing() -> Tracing | None:
    """Return the tracing, or None if it is off."""
    return None if _pipeline is None else _pipeline.tracing


def metrics() -> MetricExport | None:
    """Return the metrics export, or None if it is off."""
    return None if _pipeline is None else _pipeline.metrics


def stop() -> None:
    """Send what is left. Does nothing if nothing was started."""
    global _pipeline
    if _pipeline is not None:
        _pipeline.stop()
        _pipeline = None
