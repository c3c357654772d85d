"""Charts: counts over time, and the tables from which they are drawn."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import pytest
from sqlalchemy import Engine

from bus.clock import now_ms
from console.pages import charts
from console.pages.charts import Chart
from console.principals import Role
from console.queries import series
from console.queries.series import Latencies, Span, Tries
from console.queries.statistics import DAY, HOUR
from database.tables import hourly_attempts, hourly_events, hourly_latencies, hourly_messages
from tests.unit.console.console_parts import LIST, OTHER_LIST, Api

SPAN = Span(0, HOUR, 3)


def counted(hour: int, count: int, event: str = "delivery", **changes: Any) -> dict[str, Any]:
    row = {"account": "acme", "hour": hour * HOUR, "event": event, "provider": "infobip", "list_number": LIST}
    return row | {"status": "delivered" if event == "delivery" else "", "detail": "", "count": count} | changes


def messages(hour: int, count: int, **changes: Any) -> dict[str, Any]:
    row = counted(hour, count, **changes)
    del row["event"]
    return row


def failed(hour: int, count: int, detail: str = "EXPIRED", **changes: Any) -> dict[str, Any]:
    return messages(hour, count, status="undeliverable", detail=detail, **changes)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def filled(api: Api) -> Api:
    """Return three hours of two lists and providers, and data of another account and other hours."""
    api.put(
        hourly_messages,
        messages(0, 90),
        messages(2, 50),
        messages(2, 7, list_number=OTHER_LIST),
        messages(3, 1_000),
        messages(0, 1_000, account="other"),
        failed(0, 10),
        failed(2, 30, "REJECTED", provider="twilio"),
        failed(2, 1, "EXPIRED"),
        failed(1, 0, "CORRECTED"),
    )
    api.put(
        hourly_events,
        counted(0, 200),
        counted(1, 4, "reply"),
        counted(1, 2, "unsubscribe", detail="message"),
        counted(2, 3, "removed", detail="failures"),
    )
    return api


def read(api: Api, query: Any, *arguments: Any, **options: Any) -> Any:
    engine: Engine = api.engine
    with engine.connect() as connection:
        return query(connection, "acme", SPAN, *arguments, **options)


@pytest.mark.parametrize(
    ("length", "step", "count"), [(DAY, HOUR, 24), (7 * DAY, HOUR, 168), (30 * DAY, DAY, 30), (90 * DAY, DAY, 90)]
)
def test_a_span_ends_with_the_step_under_way(length: int, step: int, count: int) -> None:
    now = 20_000 * DAY + 5 * HOUR + 17
    span = Span.ending(now, length)
    assert (span.step, len(span.times)) == (step, count)
    assert span.times[-1] == now - now % step


def test_events_are_counted_in_their_step(filled: Api) -> None:
    assert read(filled, series.delivered_and_failed) == ([90, 0, 57], [10, 0, 31])
    assert read(filled, series.kinds)["reply", ""] == [0, 4, 0]


def test_events_of_one_list_are_counted_apart(filled: Api) -> None:
    assert read(filled, series.delivered_and_failed, LIST) == ([90, 0, 50], [10, 0, 31])


def test_steps_of_a_day_take_its_hours_together(filled: Api) -> None:
    with filled.engine.connect() as connection:
        delivered, _ = series.delivered_and_failed(connection, "acme", Span(0, DAY, 1))
    assert delivered == [90 + 57 + 1_000]


@pytest.mark.parametrize(
    ("by", "most", "expected"),
    [
        ("detail", 5, {"REJECTED": [0, 0, 30], "EXPIRED": [10, 0, 1]}),
        ("provider", 5, {"twilio": [0, 0, 30], "infobip": [10, 0, 1]}),
        ("detail", 1, {"REJECTED": [0, 0, 30], "other": [10, 0, 1]}),
    ],
)
def test_failures_are_counted_the_most_frequent_first(filled: Api, by: str, most: int, expected: Any) -> None:
    found = read(filled, series.failures, by, most=most)
    assert list(found.items()) == list(expected.items())


def test_removals_are_counted_by_reason_opt_outs_among_them(filled: Api) -> None:
    assert read(filled, series.removals) == {"failures": [0, 0, 3], "message": [0, 2, 0]}


def test_attempts_are_counted_by_endpoint_the_busiest_first(api: Api) -> None:
    common = {"account": "acme", "latency_ms_sum": 1}
    api.put(
        hourly_attempts,
        common | {"hour": 0, "endpoint": "crm", "outcome": "2xx", "count": 3},
        common | {"hour": HOUR, "endpoint": "crm", "outcome": "5xx", "count": 2},
        common | {"hour": HOUR, "endpoint": "bi", "outcome": "timeout", "count": 9},
    )
    found = read(api, series.attempts)
    assert list(found) == ["bi", "crm"]
    assert found["crm"] == Tries([3, 2, 0], [3, 0, 0])
    assert list(read(api, series.attempts, "crm")) == ["crm"]


def test_latencies_are_known_by_step_and_over_all(api: Api) -> None:
    common = {"account": "acme", "endpoint": "crm"}
    api.put(
        hourly_latencies,
        common | {"hour": 0, "at_most_ms": 10, "count": 100},
        common | {"hour": 2 * HOUR, "at_most_ms": 1_000, "count": 100},
    )
    found = read(api, series.latencies, (0.5,))["crm"][0.5]
    assert found.steps == [9.5, None, 900.0]
    assert found.whole == 10.0


SHARES = charts.delivered_share([90, 0, 57], [10, 0, 31], SPAN)


def test_a_step_without_messages_is_a_gap_and_no_zero() -> None:
    assert SHARES.series[0].values == [0.9, None, 57 / 88]
    assert SHARES.series[0].total == "78.2%"
    assert [SHARES.text(value) for _, (value,) in SHARES.rows] == ["64.8%", "–", "90.0%"]


@pytest.mark.parametrize(
    ("chart", "drawn"),
    [
        (charts.delivered_share([0, 0, 0], [0, 2, 0], SPAN), True),
        (charts.webhook_success({"crm": Tries([0, 8, 0], [0, 0, 0])}, SPAN), True),
        (charts.delivered_share([0, 0, 0], [0, 0, 0], SPAN), False),
        (charts.messages([0, 0, 0], [0, 0, 0], SPAN), False),
        (charts.latency_percentiles({0.5: Latencies([None, None, None], None)}, SPAN), False),
    ],
)
def test_total_failure_is_drawn_and_not_taken_for_silence(chart: Chart, drawn: bool) -> None:
    assert chart.has_values == drawn


def test_a_table_has_the_newest_first() -> None:
    assert [at for at, _ in SHARES.rows] == [2 * HOUR, HOUR, 0]


@pytest.mark.parametrize(
    ("chart", "links"),
    [
        (
            charts.failures({"EX PIRED": [1, 0, 0], "other": [1, 0, 0]}, SPAN, "detail", LIST),
            ["/deliveries?status_detail=EX+PIRED&list_number=%2B18005551234", ""],
        ),
        (charts.failures({"twilio": [1, 0, 0]}, SPAN, "provider"), ["/deliveries?provider=twilio"]),
        (charts.webhook_success({"a/b": Tries([1, 0, 0], [1, 0, 0])}, SPAN), ["/webhooks/a%2Fb"]),
    ],
)
def test_a_name_leads_to_what_is_counted(chart: Chart, links: list[str]) -> None:
    assert [each.link for each in chart.series] == links


def test_no_more_endpoints_are_drawn_than_eyes_tell_apart() -> None:
    tries = {f"e{n}": Tries([1, 0, 0], [1, 0, 0]) for n in range(20)}
    latencies = {name: {0.95: Latencies([1.0, None, None], 1.0)} for name in tries}
    assert len(charts.webhook_success(tries, SPAN).series) == charts.MOST_LINES
    assert len(charts.latency_by_endpoint(latencies, SPAN, tries).series) == charts.MOST_LINES


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("count", 1_234, "1,234"),
        ("share", 0.1234, "12.3%"),
        ("rate", 0.25, "0.2"),
        ("ms", 41.6, "42 ms"),
        ("ms", 12_345, "12.3 s"),
    ],
)
def test_a_value_is_told_with_its_unit(unit: Any, value: float, text: str) -> None:
    assert Chart("c", "C", "line", unit, [], 1, [], "").text(value) == text


@pytest.mark.parametrize("path", ["", "/trends", "/webhooks/crm", "/lists/%2B18005551234"])
async def test_a_page_says_where_there_is_nothing_to_draw(api: Api, path: str) -> None:
    api.sign_in(Role.VIEWER)
    text = (await api.page(path)).text
    assert "data-chart" in text
    assert 'class="plot' not in text


async def test_a_list_shows_its_own_deliverability(filled: Api) -> None:
    now = now_ms() // HOUR
    filled.put(hourly_messages, messages(now, 3), messages(now, 1_000, list_number=OTHER_LIST), failed(now, 1))
    filled.sign_in(Role.VIEWER)
    text = (await filled.page("/lists/%2B18005551234?window=24h")).text
    assert "75.0%" in text


async def test_a_list_that_does_not_exist_has_no_page(api: Api) -> None:
    api.sign_in(Role.VIEWER)
    assert (await api.page("/lists/%2B19995550000")).status_code == 404


@pytest.mark.parametrize(("name", "version"), [("uPlot.iife.min.js", "v1.6.32"), ("htmx.min.js", '"2.0.11"')])
def test_a_library_of_others_lies_here_with_its_version_and_license(name: str, version: str) -> None:
    folder = files("console") / "assets"
    assert version in (folder / name).read_text("utf-8")
    assert (folder / f"{re.sub(r'[.].*', '', name)}.LICENSE.txt").is_file()
