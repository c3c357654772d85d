"""Prometheus' recording and alert rules, from the objectives and the list of metrics.

Both objectives are watched by how fast their error budget burns, over a long and a short window at once: the long one
shows that the problem matters, the short one that it still exists (Google's SRE workbook, "Alerting on SLOs", table
5-8).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from bus.metrics import SERVICES

RUNBOOKS = "docs/operating/runbooks.md"

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


class Objective(NamedTuple):
    """`good` and `all` are counters over a window, `{w}` in their text. `budget` is the share that may fail."""

    record: str
    alert: str
    budget: float
    good: str
    all: str
    summary: str


OBJECTIVES = (
    Objective(
        "trackly:callbacks:failed_ratio",
        "TracklyCallbacksSlow",
        0.001,
        'trackly_ingest_answer_seconds_bucket{{outcome="stored",le="0.25"}}[{w}]',
        'trackly_ingest_answer_seconds_count{{outcome=~"stored|failed"}}[{w}]',
        "Callbacks are not answered within 250 ms, or with 5xx: the budget of 0.1 % burns {rate} times too fast",
    ),
    Objective(
        "trackly:first_attempts:late_ratio",
        "TracklyFirstAttemptsLate",
        0.01,
        # By OTLP, Prometheus and the Collector call this bound 2.
        'trackly_sinks_first_attempt_seconds_bucket{{le=~"2|2[.]0"}}[{w}]',
        "trackly_sinks_first_attempt_seconds_count[{w}]",
        "First attempts begin later than 2 s after the callback: the budget of 1 % burns {rate} times too fast",
    ),
)

BURNS = (
    ("1h", "5m", 14.4, "page"),
    ("6h", "30m", 6.0, "page"),
    ("1d", "2h", 3.0, "ticket"),
    ("3d", "6h", 1.0, "ticket"),
)
"""Long window, short window, burn rate as a multiple of the budget, severity."""


class Alert(NamedTuple):
    """`lasts` is how long the condition must hold. `severity`: `page` wakes someone, `ticket` waits for business
    hours."""

    name: str
    expr: str
    lasts: str
    severity: str
    summary: str
    label: tuple[str, str] | None = None
    """An additional label if several alerts have the same name."""


ALERTS = (
    *(
        Alert(
            "TracklyServiceAbsent",
            f'absent(trackly_build_info{{service="{service}"}})',
            "5m",
            "page",
            f"No process of {service.replace('_', ' ')} is scraped",
            ("service", service),
        )
        for service in SERVICES
    ),
    Alert(
        "TracklyStageBehind",
        "max by (namespace, stage) (trackly_stage_oldest_seconds) > 300",
        "5m",
        "page",
        "The oldest record of stage {{ $labels.stage }} has waited {{ $value | humanizeDuration }}",
    ),
    Alert(
        "TracklyRecordsLostToRetention",
        "trackly_streams_skipped_by_retention_records > 0 or trackly_sinks_skipped_by_retention_records > 0",
        "0m",
        "page",
        "Kafka deleted {{ $value }} records before they were read",
    ),
    Alert(
        "TracklyOptOutsMayBeLost",
        "max by (namespace) (trackly_console_lost_records) > 0",
        "0m",
        "page",
        "Opt-outs may be among {{ $value }} records that Kafka deleted unread: contacts are not texted",
    ),
    Alert(
        "TracklyProducerWaits",
        "max by (namespace, job) (trackly_producer_waiting_seconds) > 10",
        "1m",
        "page",
        "A record has waited {{ $value | humanizeDuration }} for Kafka's acknowledgment",
    ),
    Alert(
        "TracklyProduceErrors",
        "sum by (namespace, job, error) (increase(trackly_produce_errors_total[10m])) > 0",
        "5m",
        "ticket",
        "Kafka refuses records: {{ $labels.error }}",
    ),
    Alert(
        "TracklyRejectsRecords",
        "sum by (namespace, stage) (rate(trackly_rejected_records_total[15m]))"
        ' / sum by (namespace, stage) (rate(trackly_streams_records_total{result="taken"}[15m])) > 0.01',
        "15m",
        "ticket",
        "More than 1 % of what stage {{ $labels.stage }} processes is rejected",
    ),
    Alert(
        "TracklyInternalErrors",
        'sum by (namespace, stage) (increase(trackly_rejected_records_total{reason="internal_error"}[15m])) > 0',
        "0m",
        "ticket",
        "Stage {{ $labels.stage }} fails on records that it should understand",
    ),
    Alert(
        "TracklyBrakeHolds",
        "sum by (namespace) (trackly_streams_held_contacts) > 0",
        "10m",
        "ticket",
        "{{ $value }} contacts wait for a decision about their removal",
    ),
    Alert(
        "TracklyDelayOverdue",
        "max by (namespace, delay) (trackly_sinks_delay_overdue_seconds) > 60",
        "5m",
        "page",
        "Webhooks that waited {{ $labels.delay }} are {{ $value | humanizeDuration }} overdue",
    ),
    Alert(
        "TracklyEndpointFails",
        "max by (namespace, endpoint) (trackly_sinks_endpoint_failing) > 0",
        "30m",
        "ticket",
        "Endpoint {{ $labels.endpoint }} accepts no webhooks",
    ),
    Alert(
        "TracklyWebhooksDead",
        "sum by (namespace) (increase(trackly_sinks_webhooks_dead_total[1h])) > 0",
        "0m",
        "ticket",
        "Webhooks were given up after their last retry",
    ),
    Alert(
        "TracklyAttemptsNotLogged",
        "sum by (namespace) (increase(trackly_sinks_attempts_not_logged_total[15m])) > 0",
        "0m",
        "ticket",
        "Attempts are missing from the log of attempts",
    ),
    Alert(
        "TracklyContactsStale",
        "max by (namespace) (trackly_console_contacts_age_seconds) > 60",
        "5m",
        "page",
        "The console's answers about contacts are {{ $value | humanizeDuration }} old",
    ),
    Alert(
        "TracklyReadModelBehind",
        "min by (namespace) (trackly_read_model_age_seconds >= 0) > 300",
        "10m",
        "ticket",
        "The read model is {{ $value | humanizeDuration }} behind",
    ),
    Alert(
        "TracklyReadModelUnwritten",
        "max by (namespace) (trackly_read_model_writing) == 0",
        "5m",
        "ticket",
        "No process writes the read model",
    ),
    Alert(
        "TracklyEventLoopLate",
        "histogram_quantile(0.99, sum by (namespace, job, le)"
        " (rate(trackly_event_loop_lag_seconds_bucket[10m]))) > 0.25",
        "10m",
        "ticket",
        "The event loop is late: {{ $value | humanizeDuration }} at the 99th percentile",
    ),
    Alert(
        "TracklyFilesRunOut",
        "process_open_fds / process_max_fds > 0.8 and on (namespace, job, instance) trackly_build_info",
        "10m",
        "ticket",
        "{{ $value | humanizePercentage }} of the files that the process may open are in use",
    ),
    Alert(
        "TracklyVersionsDiffer",
        "count by (namespace) (count by (namespace, version) (trackly_build_info)) > 1",
        "2h",
        "ticket",
        "Two versions run side by side: a rollout has stopped halfway",
    ),
)


def rules(runbooks: str = RUNBOOKS) -> dict[str, Any]:
    """Return the rules. `runbooks` is the address of docs/operating/runbooks.md."""
    return {
        "groups": [
            {"name": "trackly-objectives", "rules": [*_recordings(), *_burns(runbooks)]},
            {"name": "trackly-alerts", "rules": [_alert(alert, runbooks) for alert in ALERTS]},
        ]
    }


def _recordings() -> list[dict[str, Any]]:
    return [
        {
            "record": f"{each.record}:rate{window}",
            "expr": f"1 - sum by (namespace) (rate({each.good.format(w=window)}))"
            f" / sum by (namespace) (rate({each.all.format(w=window)}))",
        }
        for each in OBJECTIVES
        for window in WINDOWS
    ]


def _burns(runbooks: str) -> list[dict[str, Any]]:
    found = []
    for each in OBJECTIVES:
        for long, short, rate, severity in BURNS:
            bound = f"{rate * each.budget:g}"
            expr = f"{each.record}:rate{long} > {bound} and {each.record}:rate{short} > {bound}"
            summary = each.summary.format(rate=f"{rate:g}")
            found.append(_alert(Alert(each.alert, expr, "2m", severity, summary, ("window", long)), runbooks))
    return found


def _alert(alert: Alert, runbooks: str) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.lasts,
        "labels": {"severity": alert.severity, **dict([alert.label] if alert.label else [])},
        "annotations": {"summary": alert.summary, "runbook_url": f"{runbooks}#{alert.name.lower()}"},
    }
