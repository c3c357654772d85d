"""Grafana dashboards, from the list of metrics. Each panel names what it shows; the rest is the same for all."""

from __future__ import annotations

from typing import Any, NamedTuple

IN = 'namespace=~"$namespace"'
EACH = "[$__rate_interval]"

EXPORTER = ("kafka_brokers", "kafka_consumergroup_lag", "kafka_topic_partition_under_replicated_partition")
"""Metrics of kafka_exporter (https://github.com/danielqsj/kafka_exporter), for what only brokers know."""


class Panel(NamedTuple):
    """`queries` are pairs of a query and the legend of its series. `unit` is Grafana's name of the unit."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    description: str = ""


def rate(metric: str, by: str = "", match: str = "") -> str:
    """Return the events per second of a counter, by these labels."""
    labels = f"{IN},{match}" if match else IN
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{labels}}}{EACH}))"


def most(metric: str, by: str = "") -> str:
    """Return the largest value of a gauge, by these labels."""
    return f"max{f' by ({by})' if by else ''} ({metric}{{{IN}}})"


def quantiles(metric: str, match: str = "", by: str = "") -> tuple[tuple[str, str], ...]:
    """Return the usual quantiles of a histogram."""
    labels = f"{IN},{match}" if match else IN
    named = f"{{{{{by}}}}} " if by else ""
    groups = f"le, {by}" if by else "le"
    return tuple(
        (f"histogram_quantile({q}, sum by ({groups}) (rate({metric}_bucket{{{labels}}}{EACH})))", f"{named}p{name}")
        for q, name in ((0.5, "50"), (0.99, "99"), (0.999, "99.9"))
    )


DASHBOARDS: dict[str, tuple[str, tuple[Panel, ...]]] = {
    "overview": (
        "Overview",
        (
            Panel(
                "Error budget burnt in 3 days: callbacks",
                "percentunit",
                ((f"trackly:callbacks:failed_ratio:rate3d{{{IN}}} / 0.001", "of 0.1 %"),),
                "99.9 % of callbacks are answered within 250 ms. 1 is the whole budget.",
            ),
            Panel(
                "Error budget burnt in 3 days: first attempts",
                "percentunit",
                ((f"trackly:first_attempts:late_ratio:rate3d{{{IN}}} / 0.01", "of 1 %"),),
                "99 % of first attempts begin within 2 s of the callback. 1 is the whole budget.",
            ),
            Panel("Callbacks", "reqps", ((rate("trackly_ingest_callbacks_total", "answer"), "{{answer}}"),)),
            Panel("Webhooks", "reqps", ((rate("trackly_sinks_webhook_attempts_total", "outcome"), "{{outcome}}"),)),
            Panel("Callback to answer", "s", quantiles("trackly_ingest_answer_seconds", 'outcome="stored"')),
            Panel("Callback to event", "s", quantiles("trackly_streams_callback_to_event_seconds")),
            Panel("Callback to first attempt", "s", quantiles("trackly_sinks_first_attempt_seconds")),
            Panel("Oldest record by stage", "s", ((most("trackly_stage_oldest_seconds", "stage"), "{{stage}}"),)),
            Panel("Held contacts", "short", ((f"sum (trackly_streams_held_contacts{{{IN}}})", "held"),)),
            Panel(
                "Versions",
                "short",
                ((f"count by (service, version) (trackly_build_info{{{IN}}})", "{{service}} {{version}}"),),
            ),
            Panel(
                "Memory", "bytes", ((most("process_resident_memory_bytes", "job, instance"), "{{job}} {{instance}}"),)
            ),
            Panel(
                "Event loop, late at the 99th percentile",
                "s",
                (
                    (
                        "histogram_quantile(0.99, sum by (le, job)"
                        f" (rate(trackly_event_loop_lag_seconds_bucket{{{IN}}}{EACH})))",
                        "{{job}}",
                    ),
                ),
            ),
            Panel(
                "Pauses of the garbage collector, share of time",
                "percentunit",
                ((rate("trackly_gc_pause_seconds_sum", "job, generation"), "{{job}} {{generation}}"),),
            ),
        ),
    ),
    "ingest": (
        "Ingest",
        (
            Panel(
                "Callbacks by provider",
                "reqps",
                ((rate("trackly_ingest_callbacks_total", "provider"), "{{provider}}"),),
            ),
            Panel(
                "Refused and failed",
                "reqps",
                (
                    (
                        rate("trackly_ingest_callbacks_total", "provider, answer", 'answer!="stored"'),
                        "{{provider}} {{answer}}",
                    ),
                ),
            ),
            Panel("Time to answer", "s", quantiles("trackly_ingest_answer_seconds", by="outcome")),
            Panel(
                "Answered within 250 ms",
                "percentunit",
                (
                    (f"1 - trackly:callbacks:failed_ratio:rate5m{{{IN}}}", "5 minutes"),
                    (f"1 - trackly:callbacks:failed_ratio:rate1h{{{IN}}}", "1 hour"),
                ),
            ),
            Panel("Waiting for Kafka", "s", ((most("trackly_producer_waiting_seconds", "job"), "{{job}}"),)),
            Panel(
                "Open files, of those that are allowed",
                "percentunit",
                ((f"process_open_fds{{{IN}}} / process_max_fds{{{IN}}}", "{{job}} {{instance}}"),),
            ),
        ),
    ),
    "streams": (
        "Streams",
        (
            Panel(
                "Records taken",
                "wps",
                ((rate("trackly_streams_records_total", "stage", 'result="taken"'), "{{stage}}"),),
            ),
            Panel(
                "Rejected by reason",
                "wps",
                ((rate("trackly_rejected_records_total", "stage, reason"), "{{stage}} {{reason}}"),),
            ),
            Panel("Lag by stage", "short", ((f"sum by (stage) (trackly_stage_lag_records{{{IN}}})", "{{stage}}"),)),
            Panel("Oldest record by stage", "s", ((most("trackly_stage_oldest_seconds", "stage"), "{{stage}}"),)),
            Panel("Callback to event", "s", quantiles("trackly_streams_callback_to_event_seconds")),
            Panel(
                "Removals held by reason",
                "wps",
                ((rate("trackly_streams_removals_held_total", "reason"), "{{reason}}"),),
            ),
            Panel(
                "Codes that are in no table",
                "wps",
                ((rate("trackly_streams_unknown_codes_total", "provider"), "{{provider}}"),),
            ),
            Panel(
                "Messages awaited",
                "short",
                ((f"sum (trackly_streams_waiting_messages{{{IN}}})", "waiting"),),
            ),
            Panel(
                "Reports without their message", "wps", ((rate("trackly_streams_orphaned_reports_total"), "orphaned"),)
            ),
            Panel("Conversions", "wps", ((rate("trackly_streams_conversions_total", "result"), "{{result}}"),)),
        ),
    ),
    "webhooks": (
        "Webhooks by endpoint",
        (
            Panel(
                "Attempts by endpoint",
                "reqps",
                (
                    (
                        rate("trackly_sinks_endpoint_attempts_total", "endpoint, result", 'endpoint=~"$endpoint"'),
                        "{{endpoint}} {{result}}",
                    ),
                ),
            ),
            Panel(
                "Endpoints that accept nothing",
                "short",
                (
                    (
                        f'max by (endpoint) (trackly_sinks_endpoint_failing{{{IN},endpoint=~"$endpoint"}}) > 0',
                        "{{endpoint}}",
                    ),
                ),
            ),
            Panel(
                "Waiting by endpoint",
                "short",
                ((f'sum by (endpoint) (trackly_sinks_endpoint_queued{{{IN},endpoint=~"$endpoint"}})', "{{endpoint}}"),),
            ),
            Panel(
                "Attempts by outcome",
                "reqps",
                ((rate("trackly_sinks_webhook_attempts_total", "outcome"), "{{outcome}}"),),
            ),
            Panel("Latency of attempts", "s", quantiles("trackly_sinks_attempt_seconds", by="outcome")),
            Panel("Callback to first attempt", "s", quantiles("trackly_sinks_first_attempt_seconds")),
            Panel(
                "Deferred by reason", "wps", ((rate("trackly_sinks_webhooks_deferred_total", "reason"), "{{reason}}"),)
            ),
            Panel("Retried by delay", "wps", ((rate("trackly_sinks_webhooks_retried_total", "delay"), "{{delay}}"),)),
            Panel("Overdue by delay", "s", ((most("trackly_sinks_delay_overdue_seconds", "delay"), "{{delay}}"),)),
            Panel("Released by delay", "wps", ((rate("trackly_sinks_delay_released_total", "delay"), "{{delay}}"),)),
            Panel(
                "Given up, and dropped",
                "wps",
                (
                    (rate("trackly_sinks_webhooks_dead_total"), "given up"),
                    (rate("trackly_sinks_webhooks_dropped_total"), "dropped"),
                ),
            ),
            Panel(
                "In work",
                "short",
                (
                    (f"sum (trackly_sinks_window_events{{{IN}}})", "events"),
                    (f"sum (trackly_sinks_webhooks_in_flight{{{IN}}})", "requests under way"),
                ),
            ),
            Panel(
                "Requests for a connection",
                "short",
                (
                    (
                        f"{rate('trackly_sinks_http_requests_total')} / {rate('trackly_sinks_http_connections_total')}",
                        "requests",
                    ),
                ),
            ),
            Panel("Oldest parked webhook", "s", ((most("trackly_sinks_oldest_parked_seconds"), "parked"),)),
        ),
    ),
    "kafka": (
        "Kafka",
        (
            Panel(
                "Records that Kafka did not acknowledge",
                "wps",
                ((rate("trackly_produce_errors_total", "job, error"), "{{job}} {{error}}"),),
            ),
            Panel(
                "Oldest record without acknowledgment",
                "s",
                ((most("trackly_producer_waiting_seconds", "job"), "{{job}}"),),
            ),
            Panel("Producers replaced", "wps", ((rate("trackly_producer_renewals_total", "job"), "{{job}}"),)),
            Panel(
                "Lag",
                "short",
                (
                    (f"sum (trackly_streams_lag_records{{{IN}}})", "streams"),
                    (f"sum (trackly_sinks_lag_records{{{IN}}})", "sinks"),
                    (most("trackly_read_model_lag_records"), "read model"),
                ),
            ),
            Panel(
                "Deleted by retention before they were read",
                "short",
                (
                    (most("trackly_streams_skipped_by_retention_records"), "streams"),
                    (most("trackly_sinks_skipped_by_retention_records"), "sinks"),
                    (most("trackly_read_model_lost_records"), "read model"),
                    (most("trackly_console_lost_records"), "may be opt-outs, not settled"),
                ),
            ),
            Panel("Brokers", "short", (("max (kafka_brokers)", "brokers"),), "Needs kafka_exporter."),
            Panel(
                "Partitions that lack a replica",
                "short",
                (("sum by (topic) (kafka_topic_partition_under_replicated_partition) > 0", "{{topic}}"),),
                "Needs kafka_exporter.",
            ),
            Panel(
                "Lag of groups as brokers see it",
                "short",
                (
                    (
                        'sum by (consumergroup) (kafka_consumergroup_lag{consumergroup=~".*trackly-.*"})',
                        "{{consumergroup}}",
                    ),
                ),
                "Needs kafka_exporter.",
            ),
        ),
    ),
}


def dashboard(name: str) -> dict[str, Any]:
    """Return a dashboard in Grafana's import format."""
    title, panels = DASHBOARDS[name]
    variables = [_datasource(), _variable("namespace", "trackly_build_info")]
    if any("$endpoint" in query for panel in panels for query, _ in panel.queries):
        variables.append(_variable("endpoint", "trackly_sinks_endpoint_queued"))
    return {
        "uid": f"trackly-{name}",
        "title": f"trackly: {title}",
        "tags": ["trackly"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,
        "links": [{"type": "dashboards", "title": "trackly", "tags": ["trackly"], "asDropdown": True}],
        "templating": {"list": variables},
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"h": 8, "w": 12, "x": 12 * (number % 2), "y": 8 * (number // 2)},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + place), "expr": query, "legendFormat": legend}
            for place, (query, legend) in enumerate(panel.queries)
        ],
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(label: str, metric: str) -> dict[str, Any]:
    return {
        "name": label,
        "label": label.capitalize(),
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": {"query": f"label_values({metric}, {label})", "refId": label},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
