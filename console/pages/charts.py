"""Chart data as numbers and words: a template writes tables, from which a script draws. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlencode

from console.queries.series import OTHER, Counts, Latencies, Span, Tries

Kind = Literal["line", "area", "stack"]
Unit = Literal["count", "share", "rate", "ms"]

MOST_LINES = 6
"""Maximum lines that can be distinguished; the busiest are shown."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one layer of a stack: its name, its total, and a value for each time, None for a gap.

    `link` follows the account's base and leads to what is counted; `tone` names a color that carries meaning.
    """

    name: str
    total: str
    values: Sequence[float | None]
    link: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart. `times` (ms UTC) begin its steps, which are `step` ms long; `empty` is shown if there is no value."""

    id: str
    title: str
    kind: Kind
    unit: Unit
    times: Sequence[int]
    step: int
    series: Sequence[Series]
    empty: str

    @property
    def has_values(self) -> bool:
        """Whether there is anything to draw. A count of 0 is nothing; a share of 0 is that nothing went well."""
        nothing = (None,) if self.unit in ("share", "ms") else (None, 0)
        return any(value not in nothing for each in self.series for value in each.values)

    @property
    def rows(self) -> list[tuple[int, list[float | None]]]:
        """Return the table: each time with the values of all series, newest first."""
        columns = [each.values for each in self.series]
        return [(at, [column[number] for column in columns]) for number, at in enumerate(self.times)][::-1]

    def text(self, value: float | None) -> str:
        """Format a value with its unit."""
        return "–" if value is None else _TEXTS[self.unit](value)


def events_per_second(counts: Counts, first: int, minute: int) -> Chart:
    """Events in each of the last minutes, the first of which began at a time in ms."""
    rates = [count * 1000 / minute for count in counts]
    total = f"now {rates[-1]:,.1f}, at most {max(rates):,.1f}"
    times = [first + number * minute for number in range(len(counts))]
    return Chart(
        "rate",
        "Events per second, last hour",
        "area",
        "rate",
        times,
        minute,
        [Series("Events", total, rates)],
        "No event in the last hour.",
    )


def delivered_share(delivered: Counts, failed: Counts, span: Span, list_number: str | None = None) -> Chart:
    """The share of messages that were delivered, among those with a known outcome."""
    shares = _shares(delivered, [one + other for one, other in zip(delivered, failed, strict=True)])
    total = _percent(sum(delivered), sum(delivered) + sum(failed))
    link = _query("/deliveries", {"status": "delivered", "list_number": list_number})
    series = [Series("Delivered", total, shares, link)]
    return Chart(
        "delivered",
        "Delivered share",
        "area",
        "share",
        span.times,
        span.step,
        series,
        "No message has a final status yet.",
    )


def messages(delivered: Counts, failed: Counts, span: Span) -> Chart:
    """Delivered and undelivered messages."""
    series = [
        Series("Delivered", f"{sum(delivered):,}", delivered, "/deliveries?status=delivered", "good"),
        Series("Failed", f"{sum(failed):,}", failed),
    ]
    return Chart("messages", "Messages", "stack", "count", span.times, span.step, series, "No reports on messages yet.")


def failures(
    found: Mapping[str, Counts], span: Span, by: Literal["detail", "provider"], list_number: str | None = None
) -> Chart:
    """Failed messages, by reason or by provider."""
    whole = sum(sum(counts) for counts in found.values())
    field = {"detail": "status_detail", "provider": "provider"}[by]
    series = [
        Series(
            name,
            f"{sum(counts):,} ({_percent(sum(counts), whole)})",
            counts,
            "" if name == OTHER else _query("/deliveries", {field: name, "list_number": list_number}),
        )
        for name, counts in found.items()
    ]
    title = {"detail": "Failures by reason", "provider": "Failures by provider"}[by]
    return Chart(f"failures-{by}", title, "stack", "count", span.times, span.step, series, "No message has failed.")


def replies_and_removals(kinds: Mapping[tuple[str, str], Counts], span: Span, list_number: str | None = None) -> Chart:
    """Replies, opt-outs and other removals."""
    shown = (
        ("Replies", "reply", _query("/replies", {"list_number": list_number})),
        ("Opt-outs", "unsubscribe", _query("/contacts", {"reason": "message", "list_number": list_number})),
        ("Other removals", "removed", _query("/contacts", {"active": "false", "list_number": list_number})),
    )
    nothing = [0] * span.count
    series = [
        Series(name, f"{sum(counts):,}", counts, link)
        for name, event, link in shown
        for counts in [kinds.get((event, ""), nothing)]
    ]
    return Chart(
        "replies", "Replies and removals", "line", "count", span.times, span.step, series, "Nobody has replied."
    )


def removals_by_reason(found: Mapping[str, Counts], span: Span, list_number: str | None = None) -> Chart:
    """Removals by reason."""
    series = [
        Series(name, f"{sum(counts):,}", counts, link)
        for name, counts in found.items()
        for link in ["" if name == OTHER else _query("/contacts", {"reason": name, "list_number": list_number})]
    ]
    return Chart(
        "removals", "Removals by reason", "stack", "count", span.times, span.step, series, "No contact was removed."
    )


def webhook_success(found: Mapping[str, Tries], span: Span) -> Chart:
    """The share of attempts that were answered 2xx, by endpoint."""
    series = [
        Series(
            name,
            _percent(sum(tries.taken), sum(tries.attempts)),
            _shares(tries.taken, tries.attempts),
            _path("/webhooks", name),
        )
        for name, tries in list(found.items())[:MOST_LINES]
    ]
    return Chart("webhooks", "Webhook success by endpoint", "line", "share", span.times, span.step, series, _NO_WEBHOOK)


def webhook_outcomes(found: Mapping[tuple[str, str], Counts], span: Span, success: str) -> Chart:
    """Attempts at one endpoint by outcome: success first, then failures, most frequent first."""
    ordered = sorted(found, key=lambda key: (key[1] != success, -sum(found[key]), key[1]))
    series = [
        Series(
            outcome,
            f"{sum(found[endpoint, outcome]):,}",
            found[endpoint, outcome],
            _query("/attempts", {"endpoint": endpoint, "outcome": outcome}),
            "good" if outcome == success else "",
        )
        for endpoint, outcome in ordered
    ]
    return Chart("outcomes", "Attempts by outcome", "stack", "count", span.times, span.step, series, _NO_WEBHOOK)


def latency_by_endpoint(found: Mapping[str, Mapping[float, Latencies]], span: Span, busiest: Iterable[str]) -> Chart:
    """The 95th percentile of each endpoint's latency, the busiest endpoints first."""
    series = [
        Series(name, _millis_or_dash(latency.whole), latency.steps, _path("/webhooks", name))
        for name in [each for each in busiest if each in found][:MOST_LINES]
        for latency in [found[name][0.95]]
    ]
    return Chart("latency", "Webhook latency, p95 by endpoint", "line", "ms", span.times, span.step, series, _NO_ANSWER)


def latency_percentiles(found: Mapping[float, Latencies], span: Span) -> Chart:
    """Percentiles of one endpoint's latency."""
    series = [
        Series(f"p{100 * share:.0f}", _millis_or_dash(latency.whole), latency.steps) for share, latency in found.items()
    ]
    return Chart("latency", "Latency", "line", "ms", span.times, span.step, series, _NO_ANSWER)


_NO_WEBHOOK = "No webhook was sent."
_NO_ANSWER = "No webhook was answered or timed out."


def _shares(parts: Counts, wholes: Counts) -> list[float | None]:
    return [part / whole if whole else None for part, whole in zip(parts, wholes, strict=True)]


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "–"


def _millis(value: float) -> str:
    return f"{value / 1000:,.1f} s" if value >= 10_000 else f"{value:,.0f} ms"


def _millis_or_dash(value: float | None) -> str:
    return "–" if value is None else _millis(value)


_TEXTS = {
    "count": lambda value: f"{value:,.0f}",
    "share": lambda value: f"{100 * value:.1f}%",
    "rate": lambda value: f"{value:,.1f}",
    "ms": _millis,
}


def _query(path: str, filters: Mapping[str, str | None]) -> str:
    return f"{path}?{urlencode({name: value for name, value in filters.items() if value})}"


def _path(path: str, name: str) -> str:
    return f"{path}/{quote(name, safe='')}"
