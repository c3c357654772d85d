"""Prometheus' own promtool checks the rules, their results for made-up series, and the dashboards' queries."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.dashboards import DASHBOARDS
from deploy.monitoring import HERE
from tests.debian_tools import debian_tool
from tests.patience import PATIENCE

RULES = HERE / "prometheus"


@pytest.fixture(scope="module")
def promtool() -> str:
    return debian_tool("promtool", "prometheus")


def judged(promtool: str, *arguments: str | Path) -> str:
    done = subprocess.run([promtool, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_well_formed(promtool: str) -> None:
    assert "SUCCESS" in judged(promtool, "check", "rules", RULES / "rules.yaml")


def test_alerts_fire_when_they_should_and_at_no_other_time(promtool: str) -> None:
    assert "SUCCESS" in judged(promtool, "test", "rules", RULES / "tests.yaml")


def test_every_query_of_a_dashboard_can_be_asked(promtool: str, tmp_path: Path) -> None:
    variables = {"$__rate_interval": "5m", "$namespace": ".*", "$endpoint": ".*"}
    asked = []
    for name, (_, panels) in DASHBOARDS.items():
        for query in (query for panel in panels for query, _ in panel.queries):
            filled = query
            for variable, value in variables.items():
                filled = filled.replace(variable, value)
            asked.append({"record": f"{name}:query{len(asked)}", "expr": filled})
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": asked}]}), "utf-8")
    assert f"{len(asked)} rules found" in judged(promtool, "check", "rules", path)
