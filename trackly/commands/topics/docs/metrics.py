"""The page of metrics, written from the list that services export by."""

from __future__ import annotations

from bus.metrics import LABELS, METRICS, SERVICES, Metric

_HEAD = """\
# Metrics

Every service answers `/metrics` in Prometheus' text format: ingest and the console on their own port, the others on
that of `/readyz`. What is there beside these is Python's: `process_*` (memory, open files, CPU time). Histograms have
the series `_bucket`, `_sum` and `_count`; an observation costs well below a microsecond.

No label has a phone number, a text, a key or a URL. `deploy/grafana` has dashboards of them, `deploy/prometheus` alert
rules, and [runbooks.md](operating/runbooks.md) says what to do when one fires.

## Objectives

| what | objective | by |
| --- | --- | --- |
| callbacks are answered | 99.9 % within 250 ms | `trackly_ingest_answer_seconds` |
| webhooks are tried | 99 % of first attempts begin within 2 s of the callback | `trackly_sinks_first_attempt_seconds` |

Of answers, refusals (4xx) do not count. Of first attempts, those do not count that were deferred for their endpoint's
sake (`trackly_sinks_webhooks_deferred_total`), or that wait to be sent in batches. Callbacks that are processed again
(`trackly rejected retry`) count from when they were received.

This page is written by `trackly topics docs`.
"""

TITLES = {"read_model": "Read model"}


def metrics_page() -> str:
    """A table a service, those that several have first, and what values labels have."""
    shared = [each for each in METRICS.values() if not each.name.startswith(tuple(f"trackly_{s}_" for s in SERVICES))]
    parts = [_HEAD, _table("Several services", shared, with_services=True)]
    for service in SERVICES:
        own = [each for each in METRICS.values() if each.name.startswith(f"trackly_{service}_")]
        parts.append(_table(TITLES.get(service, service.capitalize()), own))
    rows = [f"| `{name}` | {meaning} |" for name, meaning in LABELS.items()]
    parts.append("\n".join(["## Labels", "", "| label | values |", "| --- | --- |", *rows, ""]))
    buckets: dict[tuple[float, ...], list[str]] = {each.buckets: [] for each in METRICS.values() if each.buckets}
    for each in METRICS.values():
        if each.buckets:
            buckets[each.buckets].append(f"`{each.name}`")
    lines = [f"- {', '.join(names)}: {', '.join(f'{b:g}' for b in bounds)}" for bounds, names in buckets.items()]
    parts.append("\n".join(["## Buckets", "", "Upper bounds in seconds.", "", *lines, ""]))
    return "\n".join(parts)


def _table(title: str, metrics: list[Metric], *, with_services: bool = False) -> str:
    head = ["name", "kind", "unit", "labels", *(["of"] if with_services else []), "meaning"]
    rows = []
    for each in metrics:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        of = [", ".join(s.replace("_", " ") for s in each.services)] if with_services else []
        rows.append([f"`{each.exported}`", each.kind, each.unit, labels, *of, each.help])
    lines = [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join([f"## {title}", "", *lines, ""])
