"""Every metric of every service: name, kind, unit, labels, buckets, meaning.

`/metrics`, docs/metrics.md, the dashboards and the alert rules are made from this list, and nothing is exported that
is not on it. No label has a number, a text, a key or a URL, and each has a bounded set of values (`LABELS`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

PREFIX = "trackly"

SOON = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds. Has the bounds of both objectives, 0.25 and 2."""

WAITS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3600.0)
"""Seconds of ways through several topics, which a backlog makes long."""

PAUSES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Seconds for which nothing else runs in a process."""

Kind = Literal["counter", "gauge", "histogram"]

WORKERS = ("streams", "sinks")
SERVICES = ("ingest", *WORKERS, "read_model", "console")
PRODUCERS = ("ingest", *WORKERS, "console", "mirror")
ALL = (*SERVICES, "mirror")
"""With what a deployment may do without."""


class Metric(NamedTuple):
    """`name` is without `_total`, which Prometheus adds to counters. `services` are who exports it."""

    name: str
    kind: Kind
    unit: str
    help: str
    services: tuple[str, ...]
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def exported(self) -> str:
        """Name by which queries find it: of a histogram that of its family."""
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
        "ingest", "callbacks", "counter", "callbacks", "Callbacks of providers, and postbacks of networks, by answer.",
        ("provider", "answer"),
    ),
    _of(
        "ingest", "answer_seconds", "histogram", "seconds",
        "From the last byte of a callback to its answer, which comes after Kafka's acknowledgement.", ("outcome",),
        SOON,
    ),
)  # fmt: skip

_WORKERS = (
    *(
        _of(service, "lag_records", "gauge", "records", "Records that are on the topics and not yet done.")
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
        "trackly_stage_lag_records", "gauge", "records", "Records that are on the topics of a stage and not yet done.",
        WORKERS, ("stage",),
    ),
    Metric(
        "trackly_stage_oldest_seconds", "gauge", "seconds",
        "Age of the oldest record that a stage has not taken; 0 where none waits.", WORKERS, ("stage",),
    ),
    Metric(
        "trackly_rejected_records", "counter", "records", "Records and items put into the rejected topic, by reason.",
        WORKERS, ("stage", "reason"),
    ),
)  # fmt: skip

_STREAMS = (
    _of("streams", "records", "counter", "records", "Records taken, and items rejected.", ("stage", "result")),
    _of(
        "streams", "callback_to_event_seconds", "histogram", "seconds",
        "From the receipt of a callback to the acknowledgement of the events that it led to.", (), WAITS,
    ),
    _of("streams", "unknown_codes", "counter", "reports", "Failures with a code that no table has.", ("provider",)),
    _of(
        "streams", "orphaned_reports", "counter", "reports",
        "Reports that went out without the message they waited for.",
    ),
    _of(
        "streams", "conversions", "counter", "postbacks",
        "Postbacks settled: joined with their click, orphaned (nobody registered it), repeated, rejected.", ("result",),
    ),
    _of(
        "streams", "waiting_messages", "gauge", "messages",
        "Messages that are not registered yet and whose reports wait.",
    ),
    _of(
        "streams", "held_contacts", "gauge", "contacts",
        "Contacts whose removal waits for a person's yes or no.",
    ),
    _of("streams", "removals_held", "counter", "contacts", "Removals that a brake has held, by reason.", ("reason",)),
)  # fmt: skip

_SINKS = (
    _of("sinks", "events", "counter", "events", "Events and due webhooks taken."),
    _of("sinks", "webhooks_dead", "counter", "webhooks", "Webhooks given up after the last retry."),
    _of("sinks", "webhooks_dropped", "counter", "webhooks", "Webhooks whose endpoint no longer exists."),
    _of("sinks", "http_requests", "counter", "requests", "Requests that were sent."),
    _of(
        "sinks", "http_connections", "counter", "connections",
        "Connections opened; as many requests less used one again.",
    ),
    _of("sinks", "attempts_not_logged", "counter", "attempts", "Attempts missing from the log of attempts."),
    _of("sinks", "webhook_attempts", "counter", "attempts", "Attempts by outcome.", ("outcome",)),
    _of(
        "sinks", "webhooks_retried", "counter", "webhooks", "Failed attempts that were followed by a wait.", ("delay",)
    ),
    _of("sinks", "webhooks_deferred", "counter", "webhooks", "Webhooks put off without an attempt.", ("reason",)),
    _of("sinks", "forwarded", "counter", "items", "Raw items by outcome; dropped: too many waited.", ("outcome",)),
    _of(
        "sinks", "alerts", "counter", "alerts",
        "Alerts by channel and outcome: told, or the status or error that they were given up with.",
        ("channel", "outcome"),
    ),
    _of("sinks", "webhooks_in_flight", "gauge", "requests", "Requests under way."),
    _of("sinks", "window_events", "gauge", "events", "Events in work."),
    _of("sinks", "window_bytes", "gauge", "bytes", "Bytes of webhooks in work."),
    _of("sinks", "alert_bursts", "gauge", "bursts", "Bursts of alerts that are gathered."),
    _of(
        "sinks", "oldest_parked_seconds", "gauge", "seconds",
        "Age of the oldest webhook that waits for a paused endpoint.",
    ),
    _of(
        "sinks", "first_attempt_seconds", "histogram", "seconds",
        "From the receipt of a callback to the beginning of the first attempt, of webhooks that were not deferred.",
        (), WAITS,
    ),
    _of(
        "sinks", "attempt_seconds", "histogram", "seconds",
        "How long an attempt took, by outcome.", ("outcome",), SOON,
    ),
    _of(
        "sinks", "delay_overdue_seconds", "gauge", "seconds",
        "By how much the oldest webhook of a delay topic is overdue; 0 where none is.", ("delay",),
    ),
    _of("sinks", "delay_released", "counter", "webhooks", "Webhooks that went on when they were due.", ("delay",)),
    _of(
        "sinks", "endpoint_attempts", "counter", "attempts", "Attempts by endpoint: delivered or failed.",
        ("endpoint", "result"),
    ),
    _of("sinks", "endpoint_queued", "gauge", "webhooks", "Webhooks that wait for their endpoint.", ("endpoint",)),
    _of(
        "sinks", "endpoint_failing", "gauge", "endpoints",
        "1 while the breaker of an endpoint is open or the endpoint is paused.", ("endpoint",),
    ),
)  # fmt: skip

_READ_MODEL = (
    _of("read_model", "lag_records", "gauge", "records", "Records that are on Kafka and not in the read model."),
    _of(
        "read_model", "lost_records", "gauge", "records",
        "Records that retention deleted before they were read, since the tables were made.",
    ),
    _of(
        "read_model", "age_seconds", "gauge", "seconds",
        "Age of the moment up to which it is complete; -1 before the first.",
    ),
    _of("read_model", "writing", "gauge", "processes", "1 in the process that writes, 0 in one that waits."),
    _of("read_model", "records", "gauge", "records", "Records read since the start."),
    _of("read_model", "passed_over", "gauge", "records", "Records that could not be read since the start."),
)  # fmt: skip

_CONSOLE = (
    _of(
        "console", "contacts_age_seconds", "gauge", "seconds",
        "Age of what is known about contacts; infinite before it is known.",
    ),
    _of("console", "requests", "counter", "requests", "API requests by route and status.", ("route", "status")),
)  # fmt: skip

_MIRROR = (
    _of(
        "mirror", "records", "counter", "records", "Events: mirrored, or left out since they cannot be read.",
        ("result",),
    ),
)  # fmt: skip

_EVERYWHERE = (
    Metric(
        "trackly_build_info", "gauge", "processes", "1, with the version that runs.", ALL, ("service", "version")
    ),
    Metric(
        "trackly_event_loop_lag_seconds", "histogram", "seconds",
        "By how much later than asked for the event loop came back.", ALL, (), PAUSES,
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
        "Producers that took the place of one which had failed.", PRODUCERS,
    ),
    Metric(
        "trackly_producer_waiting_seconds", "gauge", "seconds",
        "For how long the oldest record has waited for Kafka's acknowledgement; 0 where none waits.", PRODUCERS,
    ),
)  # fmt: skip

METRICS = {
    metric.name: metric
    for metric in (*_INGEST, *_WORKERS, *_STREAMS, *_SINKS, *_READ_MODEL, *_CONSOLE, *_MIRROR, *_EVERYWHERE)
}

LABELS = {
    "answer": "`stored`, or the code of a refusal (docs/bounds.md)",
    "channel": "where an alert went: `discord`, `slack` and so on",
    "delay": "the delay of a topic of `TRACKLY_RETRY_SCHEDULE`, such as `1m`, or `parked`",
    "endpoint": "`account/id` of the first 200 endpoints that were sent to, then `other`; all callbacks of messages"
    " count as `callbacks`",
    "error": "the name of an error class",
    "generation": "of garbage: `young`, `middle` or `full`",
    "outcome": "of callbacks `stored`, `refused` (4xx) or `failed` (5xx); of attempts `2xx`, `4xx` and so on, or the"
    " class of the error",
    "provider": "a provider or network that trackly knows, else `unknown`",
    "reason": "a code of a fixed set",
    "result": "a code of a fixed set",
    "route": "a path as the OpenAPI document writes it",
    "service": "the service of the process",
    "stage": "`normalize`, `contacts`, `clicks` or `webhooks`",
    "status": "an HTTP status",
    "version": "trackly's version",
}
"""What values a label has. Where a value is not known beforehand, the first 200 are kept (`bus.measures`)."""


def metric_of(service: str, name: str) -> Metric:
    """The metric that a service knows by this name: its own, or one that several services have. Raises KeyError."""
    own = METRICS.get(f"{PREFIX}_{service}_{name}")
    return METRICS[f"{PREFIX}_{name}"] if own is None else own
