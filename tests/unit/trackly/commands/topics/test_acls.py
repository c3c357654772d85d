"""Access rules by service. tests/broker/test_acls.py runs the services under them."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from bus.settings import BusSettings
from trackly.cli import CONTENTS
from trackly.commands.topics.acls import (
    LOOKS_AT,
    MEMBER_OF,
    SERVICES,
    AccessRule,
    for_kafka,
    for_strimzi,
    heads_of,
    rules,
)
from trackly.commands.topics.command import topics

ROOT = Path(__file__).parents[5]
SETTINGS = BusSettings(topic_prefix="eu.")
RULES = rules(SETTINGS)


def test_every_topic_begins_as_the_rules_for_all_say() -> None:
    heads = tuple(heads_of(SETTINGS.catalogue))
    assert [topic.name for topic in SETTINGS.catalogue.values() if not topic.name.startswith(heads)] == []


def test_writers_and_readers_of_the_catalogue_that_are_services_have_users() -> None:
    named = {name for topic in SETTINGS.catalogue.values() for name in (*topic.written_by, *topic.read_by)}
    commands = {line.command for line in CONTENTS if line.panel == "Run"}
    assert named & commands == set(SERVICES)
    people = {"people", "senders", "data engineers", "trackly apply", "trackly keys", "trackly alerts"}
    assert named <= set(SERVICES) | people


def test_groups_are_those_of_the_code() -> None:
    sources = [
        path for room in ("sinks", "streams", "console", "readmodel", "trackly") for path in (ROOT / room).rglob("*.py")
    ]
    found = {name for path in sources for name in re.findall(r'\.group\(f?"([\w-]+)', path.read_text("utf-8"))}
    known = {name.removesuffix("*") for groups in (*MEMBER_OF.values(), *LOOKS_AT.values()) for name in groups}
    # A worker's group has its service's name.
    assert found | {"streams", "sinks"} == known


def test_a_service_writes_what_it_writes_and_nothing_else() -> None:
    writes = {rule.name for rule in RULES if rule.user == "trackly-ingest" and "Write" in rule.operations}
    assert writes == {t.name for t in SETTINGS.catalogue.values() if "ingest" in t.written_by}
    assert not [rule for rule in RULES if rule.user == "trackly-read-model" and "Write" in rule.operations]


def test_tiers_of_an_earlier_schedule_are_allowed_too() -> None:
    assert AccessRule("trackly-sinks", ("Write", "Read"), "topic", "eu.sms.webhooks.retry.", True) in RULES
    assert AccessRule("trackly-sinks", ("Read",), "group", "eu.trackly-delay-", True) in RULES


def test_for_kafka_every_rule_is_in_one_call() -> None:
    calls = [shlex.split(line) for line in for_kafka(RULES).splitlines() if not line.startswith("#")]
    found = set()
    for words in calls:
        options = list(pairwise(words))
        (user,) = (value.removeprefix("User:") for option, value in options if option == "--allow-principal")
        operations = tuple(value for option, value in options if option == "--operation")
        is_prefix = ("--resource-pattern-type", "prefixed") in options
        for option, value in options:
            if option in ("--topic", "--group"):
                found.add(AccessRule(user, operations, option[2:], value, is_prefix))  # type: ignore[arg-type]
    assert found == set(RULES)


def test_for_strimzi_every_user_has_its_rules() -> None:
    users = list(yaml.safe_load_all(for_strimzi(RULES, "events")))
    assert [user["metadata"]["name"] for user in users] == list(dict.fromkeys(rule.user for rule in RULES))
    assert {user["metadata"]["labels"]["strimzi.io/cluster"] for user in users} == {"events"}
    assert sum(len(user["spec"]["authorization"]["acls"]) for user in users) == len(RULES)


def test_the_chart_s_values_for_strimzi_use_these_users() -> None:
    values = (ROOT / "deploy" / "helm" / "trackly" / "values-strimzi.yaml").read_text("utf-8")
    users = set(re.findall(r"KAFKA_SASL_USERNAME: ([\w-]+)", values))
    assert users == {rule.user for rule in RULES} - {"trackly-admin"}


@pytest.mark.parametrize("form", ["kafka", "strimzi"])
def test_the_command_asks_no_broker(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    done = CliRunner().invoke(topics, ["acls", "--format", form, "--user-prefix", "sms-"])
    assert done.exit_code == 0
    assert "sms-ingest" in done.stdout
    lines = CliRunner().invoke(topics, ["acls", "--json"]).stdout.splitlines()
    assert {json.loads(line)["user"] for line in lines} >= {"trackly-ingest", "trackly-setup"}
