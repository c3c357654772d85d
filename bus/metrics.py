"""Every metric of every service: name, kind, unit, labels, buckets, meaning.

`/metrics`, docs/metrics.md, the dashboards, and the alert rules are generated from this list, and only listed metrics
are exported. No label holds a phone number, a text, a key, or a URL, and each has a bounded set of values (`LABELS`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

PREFIX = "trackly"

SOON = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0, 30.0)
"""In seconds. Includes the bounds of both objectives, 0.25 and 2."""

WAITS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3600.0)
"""In seconds, for paths through several topics, which a backlog lengthens."""

PAUSES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""In seconds, for pauses of a whole process."""

Kind = Literal["counter", "gauge", "histogram"]

WORKERS = ("streams", "sinks")
SERVICES = ("ingest", *WORKERS, "read_model", "console")
PRODUCERS = ("ingest", *WORKERS, "console", "mirror")
ALL = (*SERVICES, "mirror")
"""Including what a deployment can do without."""


class Metric(NamedTuple):
    """`name` omits `_total`, which Prometheus adds to counters. `services` lists the exporters."""

    name: str
    kind: Kind
    unit: str
    help: str
    services: tuple[str, ...]
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def exported(self) -> str:
        """Name to use in queries; for a histogram, its family's."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


def _of(
    service: str,
    name: str,
    kind: Kind,
    unit: str,
    help_text: str,
    labels: tuple[str, ...] = (),
    buckets: tuple[float, ...] = (),
) -> Metric:
    return Metric(f"{PREFIX}_{service}_{name}", kind, unit, help_text, (service,), labels, buckets)


_INGEST = (
    _of(
        "ingest", "callbacks", "counter", "callbacks", "Callbacks and network postbacks, by answer.",
        ("provider", "answer"),
    ),
    _of(
        "ingest", "answer_seconds", "histogram", "seconds",
        "Time from the last byte of a callback to its answer, which follows Kafka's acknowledgment.", ("outcome",),
        SOON,
    ),
)  # fmt: skip

_WORKERS = (
    *(
        _of(service, "lag_records", "gauge", "records", "Records on the topics that are not yet processed.")
        for service in WORKERS
    ),
    *(
        _of(
            service, "skipped_by_retention_records", "gauge", "records",
            "Records that retention deleted before they were read.",
        )
        for service in WORKERS
    ),
    Metric(
        "trackly_stage_lag_records", "gauge", "records", "Records on a stage's topics that are not yet processed.",
        WORKERS, ("stage",),
    ),
    Metric(
        "trackly_stage_oldest_seconds", "gauge", "seconds",
        "Age of the oldest record that a stage has not taken; 0 if none waits.", WORKERS, ("stage",),
    ),
    Metric(
        "trackly_rejected_records", "counter", "records", "Records and items written to the rejected topic, by reason.",
        WORKERS, ("stage", "reason"),
    ),
)  # fmt: skip

_STREAMS = (
    _of("streams", "records", "counter", "records", "Records taken, and items rejected.", ("stage", "result")),
    _of(
        "streams", "callback_to_event_seconds", "histogram", "seconds",
        "Time from the receipt of a callback to the acknowledgment of the resulting events.", (), WAITS,
    ),
    _of("streams", "unknown_codes", "counter", "reports", "Failures with a code that is in no table.", ("provider",)),
    _of(
        "streams", "orphaned_reports", "counter", "reports",
        "Reports published without the message they waited for.",
    ),
    _of(
        "streams", "conversions", "counter", "postbacks",
        "Postbacks settled: joined with their click, orphaned (nobody registered it), duplicate,"
" rejected.", ("result",),
    ),
    _of(
        "streams", "waiting_messages", "gauge", "messages",
        "Unregistered messages whose reports wait.",
    ),
    _of(
        "streams", "held_contacts", "gauge", "contacts",
        "Held contacts: their removal waits for an admin's decision.",
    ),
    _of("streams", "removals_held", "counter", "contacts", "Removals that a brake held, by reason.", ("reason",)),
)  # fmt: skip

_SINKS = (
    _of("sinks", "events", "counter", "events", "Events and due webhooks taken."),
    _of("sinks", "webhooks_dead", "counter", "webhooks", "Webhooks that became dead letters after the last retry."),
    _of("sinks", "webhooks_dropped", "counter", "webhooks", "Webhooks whose endpoint no longer exists."),
    _of("sinks", "http_requests", "counter", "requests", "Requests sent."),
    _of(
        "sinks", "http_connections", "counter", "connections",
        "Connections opened; the other requests reused one.",
    ),
    _of("sinks", "attempts_not_logged", "counter", "attempts", "Attempts missing from the log of attempts."),
    _of("sinks", "webhook_attempts", "counter", "attempts", "Attempts by outcome.", ("outcome",)),
    _of(
        "sinks", "webhooks_retried", "counter", "webhooks", "Failed attempts that are retried later.", ("delay",)
    ),
    _of("sinks", "webhooks_deferred", "counter", "webhooks", "Webhooks deferred without an attempt.", ("reason",)),
    _of("sinks", "forwarded", "counter", "items", "Raw items by outcome; dropped: too many waited.", ("outcome",)),
    _of(
        "sinks", "alerts", "counter", "alerts",
        "Alerts by channel and outcome: told, or the status or error because of which they were"
" given up.",
        ("channel", "outcome"),
    ),
    _of("sinks", "webhooks_in_flight", "gauge", "requests", "Requests in flight."),
    _of("sinks", "window_events", "gauge", "events", "Events in progress."),
    _of("sinks", "window_bytes", "gauge", "bytes", "Bytes of webhooks in progress."),
    _of("sinks", "alert_bursts", "gauge", "bursts", "Bursts of alerts being grouped."),
    _of(
        "sinks", "oldest_parked_seconds", "gauge", "seconds",
        "Age of the oldest webhook that waits for a paused endpoint.",
    ),
    _of(
        "sinks", "first_attempt_seconds", "histogram", "seconds",
        "Time from the receipt of a callback to the start of the first attempt, for webhooks that"
" were not deferred.",
        (), WAITS,
    ),
    _of(
        "sinks", "attempt_seconds", "histogram", "seconds",
        "Duration of an attempt, by outcome.", ("outcome",), SOON,
    ),
    _of(
        "sinks", "delay_overdue_seconds", "gauge", "seconds",
        "Time by which the oldest webhook of a delay topic is overdue; 0 if none is.", ("delay",),
    ),
    _of("sinks", "delay_released", "counter", "webhooks", "Webhooks released when they were due.", ("delay",)),
    _of(
        "sinks", "endpoint_attempts", "counter", "attempts", "Attempts by endpoint: delivered or failed.",
        ("endpoint", "result"),
    ),
    _of("sinks", "endpoint_queued", "gauge", "webhooks", "Webhooks that wait for their endpoint.", ("endpoint",)),
    _of(
        "sinks", "endpoint_failing", "gauge", "endpoints",
        "1 while an endpoint's breaker is open or the endpoint is paused.", ("endpoint",),
    ),
)  # fmt: skip

_READ_MODEL = (
    _of("read_model", "lag_records", "gauge", "records", "Records on Kafka that are not in the read model."),
    _of(
        "read_model", "lost_records", "gauge", "records",
        "Records that retention deleted before they were read, since the tables were created.",
    ),
    _of(
        "read_model", "age_seconds", "gauge", "seconds",
        "Age of the time up to which the read model is complete; -1 before the first.",
    ),
    _of("read_model", "writing", "gauge", "processes", "1 in the process that writes, 0 in a standby."),
    _of("read_model", "records", "gauge", "records", "Records read since the start."),
    _of("read_model", "passed_over", "gauge", "records", "Records that could not be read since the start."),
)  # fmt: skip

_CONSOLE = (
    _of(
        "console", "contacts_age_seconds", "gauge", "seconds",
        "Age of the console's knowledge of contacts; infinite before it has any.",
    ),
    _of(
        "console", "lost_records", "gauge", "records",
        "Records that retention deleted before streams read them, among which opt-outs may be, until the loss is"
        " settled.",
    ),
    _of("console", "requests", "counter", "requests", "API requests by route and status.", ("route", "status")),
)  # fmt: skip

_MIRROR = (
    _of(
        "mirror", "records", "counter", "records", "Events: mirrored, or left out because they cannot be read.",
        ("result",),
    ),
)  # fmt: skip

_EVERYWHERE = (
    Metric(
        "trackly_build_info", "gauge", "processes", "1; the running version is a label.", ALL, ("service", "version")
    ),
    Metric(
        "trackly_event_loop_lag_seconds", "histogram", "seconds",
        "Time by which the event loop was late.", ALL, (), PAUSES,
    ),
    Metric(
        "trackly_gc_pause_seconds", "histogram", "seconds", "Pauses of Python's garbage collector.", ALL,
        ("generation",), PAUSES,
    ),
    Metric(
        "trackly_produce_errors", "counter", "records", "Records that Kafka did not acknowledge, by error.", PRODUCERS,
        ("error",),
    ),
    Metric(
        "trackly_producer_renewals", "counter", "producers",
        "Producers that replaced one that had failed.", PRODUCERS,
    ),
    Metric(
        "trackly_producer_waiting_seconds", "gauge", "seconds",
        "Time that the oldest record has waited for Kafka's acknowledgment; 0 if none waits.", PRODUCERS,
    ),
)  # fmt: skip

METRICS = {
    metric.name: metric
    for metric in (*_INGEST, *_WORKERS, *_STREAMS, *_SINKS, *_READ_MODEL, *_CONSOLE, *_MIRROR, *_EVERYWHERE)
}

LABELS = {
    "answer": "`stored`, or the code of a refusal (docs/bounds.md)",
    "channel": "channel of an alert: `discord`, `slack`, and so on",
    "delay": "the delay of a topic of `TRACKLY_RETRY_SCHEDULE`, such as `1m`, or `parked`",
    "endpoint": "`account/id` of the first 200 endpoints that were sent to, then `other`; all message"
    " callbacks count as `callbacks`",
    "error": "the name of an error class",
    "generation": "garbage collector generation: `young`, `middle`, or `full`",
    "outcome": "for callbacks `stored`, `refused` (4xx), or `failed` (5xx); for attempts `2xx`, `4xx`, and"
    " so on, or the error class",
    "provider": "a provider or network that trackly knows, or else `unknown`",
    "reason": "a code of a fixed set",
    "result": "a code of a fixed set",
    "route": "a path as in the OpenAPI document",
    "service": "the service of the process",
    "stage": "`normalize`, `contacts`, `clicks`, or `webhooks`",
    "status": "an HTTP status",
    "version": "trackly's version",
}
"""Label values. If they are not known beforehand, the first 200 are kept (`bus.measures`)."""


def metric_of(service: str, name: str) -> Metric:
    """Return a service's metric by name: its own, or one shared by several services. Raises KeyError."""
    own = METRICS.get(f"{PREFIX}_{service}_{name}")
    return METRICS[f"{PREFIX}_{name}"] if own is None else own
