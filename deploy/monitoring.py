"""`python -m deploy.monitoring` regenerates the rules and the dashboards.

With an argument, alerts link to the runbooks at that address instead of to the file in this repository.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml

from deploy.alert_rules import RUNBOOKS, rules
from deploy.dashboards import DASHBOARDS, dashboard

HERE = Path(__file__).parent

_HEAD = "# Written by `python -m deploy.monitoring [ADDRESS OF THE RUNBOOKS]`.\n"


def files(runbooks: str = RUNBOOKS) -> dict[Path, str]:
    """Return texts by path."""
    return {
        HERE / "prometheus" / "rules.yaml": _HEAD + yaml.safe_dump(rules(runbooks), sort_keys=False, width=1_000),
        **{
            HERE / "grafana" / f"{name}.json": json.dumps(dashboard(name), indent=2, ensure_ascii=False) + "\n"
            for name in DASHBOARDS
        },
    }


if __name__ == "__main__":
    for path, text in files(*sys.argv[1:2]).items():
        path.write_text(text, "utf-8")
        print(path)
