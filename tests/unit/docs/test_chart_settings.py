"""The chart accepts the settings that the code reads, and no others. tests/outside has Helm render it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, ValidationError

from deploy.chart_schema import CHART, SCHEMA, schema
from trackly.commands.settings import SERVICES

TEXT = SCHEMA.read_text("utf-8")
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
BROKERS = sorted(CHART.glob("values-*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    """Return a validator of the chart's values."""
    return Draft7Validator(json.loads(TEXT))


def merged(values: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Merge values like Helm: one file over another."""
    return values | {
        key: merged(values[key], value) if isinstance(value, dict) and isinstance(values.get(key), dict) else value
        for key, value in more.items()
    }


def test_the_schema_lists_what_the_code_reads() -> None:
    assert schema() == TEXT, "run `python -m deploy.chart_schema`"


def test_the_schema_is_one_and_holds_for_the_values_of_the_chart(validator: Draft7Validator) -> None:
    validator.check_schema(json.loads(TEXT))
    validator.validate(VALUES)


@pytest.mark.parametrize("path", BROKERS, ids=lambda path: path.stem)
def test_the_values_for_a_broker_fit(path: Path, validator: Draft7Validator) -> None:
    validator.validate(merged(VALUES, yaml.safe_load(path.read_text("utf-8"))))


def test_there_are_values_for_three_brokers() -> None:
    assert [path.stem for path in BROKERS] == ["values-confluent", "values-msk", "values-strimzi"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"settings": {"TRACKLY_PARTITONS": 12}},
        {"settings": {"KAFKA_SASL_PASSWORD": "in plain sight"}},
        {"settings": {"DATABASE_URL": "postgresql://trackly:secret@db/trackly"}},
        {"ingest": {"settings": {"TRACKLY_WEBHOOK_TIMEOUT": 5}}},
        {"settings": {"TRACKLY_WEBHOOK_TIMEOUT": 5}},
        {"console": {"settings": {"TRACKLY_OIDC_CLIENT_SECRET": "in plain sight"}}},
        {"settings": {"TRACKLY_DATA_DIR": "/data"}},
        {"secretSettings": {"DATABASE_URL": {"secret": "trackly"}}},
        {"secretSettings": {"DATABASE_PASSWORD": {"secret": "trackly", "key": "password"}}},
        {"environment": {"KAFKA_SASL_PASSWORD": "in plain sight"}},
        {"sinks": {"replica": 3}},
        {"image": {"digest": "latest"}},
        {"networkPolicy": {"kafkaPorts": ["9092"]}},
    ],
    ids=str,
)
def test_what_no_service_reads_and_secrets_in_plain_sight_are_refused(
    wrong: dict[str, Any], validator: Draft7Validator
) -> None:
    with pytest.raises(ValidationError):
        validator.validate(merged(VALUES, wrong))


def test_every_service_s_own_settings_can_be_given_to_it() -> None:
    properties = json.loads(TEXT)["properties"]
    for service in set(SERVICES) - {"every service"}:
        key = re.sub(r"-(\w)", lambda match: match[1].upper(), service)
        own = properties[key]["properties"]
        assert own["settings"] == {"$ref": f"#/definitions/{key}Settings"}
        assert own["secretSettings"] == {"$ref": f"#/definitions/{key}SecretSettings"}


def test_what_sinks_scale_by_is_a_metric_of_theirs() -> None:
    (metric,) = re.findall(r"metric: {name: (\w+)}", (CHART / "templates" / "autoscaling.yaml").read_text("utf-8"))
    assert f"| `{metric}` | gauge | records |" in (CHART.parents[2] / "docs" / "metrics.md").read_text("utf-8")
