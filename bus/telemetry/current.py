"""What this process exports. Off unless OpenTelemetry's variables ask for it: then nothing is imported."""

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
    """Begin, if the environment asks for it, after logging is configured. Raises TelemetryWrong."""
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
            f"The variables OTEL_* ask for {', '.join(wanted)}, and {error.name} is not installed:"
            " pip install 'trackly[otel]', or set OTEL_SDK_DISABLED=true."
        ) from None


def tracing() -> Tracing | None:
    """Makes spans; None where none are wanted."""
    return None if _pipeline is None else _pipeline.tracing


def metrics() -> MetricExport | None:
    """Exports metrics; None where they are not wanted."""
    return None if _pipeline is None else _pipeline.metrics


def stop() -> None:
    """Send what is left. Does nothing where nothing was begun."""
    global _pipeline
    if _pipeline is not None:
        _pipeline.stop()
        _pipeline = None
