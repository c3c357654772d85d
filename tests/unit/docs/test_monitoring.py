"""Rules and dashboards use existing metrics, and every alert has its runbook."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bus.metrics import LABELS, METRICS
from deploy.alert_rules import OBJECTIVES, WINDOWS, rules
from deploy.dashboards import DASHBOARDS, EXPORTER, dashboard
from deploy.monitoring import HERE, files

RUNBOOKS = Path("docs/operating/runbooks.md").read_text("utf-8")
ALERTS = [rule for group in rules()["groups"] for rule in group["rules"] if "alert" in rule]
RECORDED = {f"{each.record}:rate{window}" for each in OBJECTIVES for window in WINDOWS}
OF_PROCESSES = {"process_open_fds", "process_max_fds", "process_resident_memory_bytes"}
OF_PROMETHEUS = {"namespace", "job", "instance", "le", "topic", "consumergroup"}


def series() -> set[str]:
    """Return the series that can be queried, including those of histograms."""
    suffixes = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",), "gauge": ("",)}
    return {metric.name + suffix for metric in METRICS.values() for suffix in suffixes[metric.kind]}


def queries() -> Iterator[str]:
    for group in rules()["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for _, panels in DASHBOARDS.values():
        yield from (query for panel in panels for query, _ in panel.queries)


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_a_file_is_as_it_is_made_of_the_list(path: Path) -> None:
    assert path.read_text("utf-8") == files()[path], "run `python -m deploy.monitoring`"


def test_nothing_asks_for_a_metric_that_is_not_exported() -> None:
    known = series() | RECORDED | OF_PROCESSES | set(EXPORTER)
    asked = {name for query in queries() for name in re.findall(r"\b(?:trackly[_:]|process_|kafka_)[a-z0-9_:]+", query)}
    assert asked <= known


def test_nothing_groups_by_a_label_that_no_metric_has() -> None:
    grouped = {
        label for query in queries() for labels in re.findall(r"by \(([^)]*)\)", query) for label in labels.split(", ")
    }
    assert grouped <= set(LABELS) | OF_PROMETHEUS


def test_every_metric_that_an_objective_has_is_on_the_overview() -> None:
    shown = " ".join(query for panel in DASHBOARDS["overview"][1] for query, _ in panel.queries)
    assert all(each.record in shown for each in OBJECTIVES)


def test_a_whole_bound_of_a_bucket_is_asked_for_in_both_spellings() -> None:
    # /metrics says 2.0; what takes metrics by OTLP says 2.
    bounds = {found for query in queries() for found in re.findall(r'\ble(=~?"[^"]*")', query)}
    assert bounds == {'="0.25"', '=~"2|2[.]0"'}


@pytest.mark.parametrize("alert", sorted({rule["alert"] for rule in ALERTS}))
def test_an_alert_has_its_runbook_and_a_test_of_its_own(alert: str) -> None:
    assert f"\n## {alert}\n" in RUNBOOKS
    tested = (HERE / "prometheus" / "tests.yaml").read_text("utf-8")
    assert f'"{alert}"' in tested or f"alertname: {alert}\n" in tested


def test_no_runbook_is_left_of_an_alert_that_is_gone() -> None:
    assert set(re.findall(r"^## (\w+)$", RUNBOOKS, re.M)) == {rule["alert"] for rule in ALERTS}


def test_alerts_say_what_to_do_and_where_it_stands() -> None:
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["runbook_url"].endswith(f"runbooks.md#{rule['alert'].lower()}")
    elsewhere = rules("https://wiki.example.com/sms")["groups"][1]["rules"][0]
    assert elsewhere["annotations"]["runbook_url"].startswith("https://wiki.example.com/sms#")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_has_panels_that_do_not_overlap_and_a_source_that_can_be_chosen(name: str) -> None:
    found = dashboard(name)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in found["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in found["panels"]})
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in found["panels"])
    assert {"datasource", "namespace"} <= {variable["name"] for variable in found["templating"]["list"]}


def test_rules_are_written_as_yaml_that_reads_back() -> None:
    assert yaml.safe_load((HERE / "prometheus" / "rules.yaml").read_text("utf-8")) == rules()
