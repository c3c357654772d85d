from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bus.admin import BrokerUnavailable
from providers import NETWORKS, PROVIDERS
from schemas.folder_registry import RegistryError
from schemas.topics import default_catalogue
from trackly.cli import CONTENTS, app
from trackly.errors import Failed, TopicsMissing, sentence

runner = CliRunner()


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings of this machine do not matter here."""
    for name in os.environ:
        if name.startswith(("TRACKLY_", "KAFKA_", "SCHEMA_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TRACKLY_DATA_DIR", str(tmp_path))


def lines_of(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


# Help and usage


def test_a_replay_that_ends_before_it_begins_is_wrong_usage() -> None:
    result = runner.invoke(app, ["replay", "--endpoint", "acme/crm", "--from", "2h", "--to", "3h", "--yes"])
    assert result.exit_code == 2
    assert "--to" in result.output
    assert "is not after --from" in result.output


@pytest.mark.parametrize("options", [[], ["--check"]])
def test_a_mistake_in_a_settings_file_is_said_without_a_broker(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    file = tmp_path / "accounts.toml"
    file.write_text('[[accounts]]\nid = "acme"\nnmae = "Acme"\n')
    result = runner.invoke(app, ["apply", str(file), *options])
    assert result.exit_code == 1
    assert "accounts[0].nmae: is not a known setting; did you mean name?" in result.stderr
    assert "Kafka" not in result.stderr


def test_help_is_a_table_of_contents() -> None:
    result = runner.invoke(app, ["--help"])
    assert result.exit_code == 0
    places = [result.stdout.index(f"─ {panel} ─") for panel in ("Run", "Look", "Change")]
    assert places == sorted(places)
    for line in CONTENTS:
        assert f"│ {line.command} " in result.stdout
        assert line.help in result.stdout


def test_help_imports_no_kafka_client() -> None:
    code = (
        "import sys\nfrom trackly.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "print({'aiokafka', 'kafka', 'faust', 'fastapi', 'pydantic_settings'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"


@pytest.mark.parametrize("command", [line.command for line in CONTENTS])
def test_every_command_has_help(command: str) -> None:
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0, result.output
    assert f"trackly {command}" in result.stdout


def test_one_contact_and_many_are_the_same_command() -> None:
    one, many = (runner.invoke(app, [name, "--help"]).stdout for name in ("contact", "contacts"))
    assert one == many
    for command in ("show", "remove", "restore", "export", "import"):
        assert f"│ {command} " in one


def test_version_is_that_of_the_package() -> None:
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, "trackly 0.1.0\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["toppics"], "Did you mean 'topics'?"),
        (["topics", "aply"], "Did you mean 'apply'"),
        (["tap"], "Missing argument 'topic'"),
        (["tap", "t", "--from", "yesterday"], "--from: 'yesterday' is not a valid place to begin"),
        (["tap", "t", "--where", "status"], "--where: 'status' is not a valid condition"),
        (["tap", "t", "--raw", "--where", "a=b"], "--where: cannot be used with --raw, which decodes no fields"),
        (["tap", "config.endpoints", "--raw"], "--raw: config.endpoints holds secrets"),
        (["tap", "t", "--max", "0"], "--max"),
        (["tap", "t", "--to", "tomorrow"], "--to: 'tomorrow' is not a valid place"),
        (["tap", "t", "--out", "x.xlsx"], "--out: x.xlsx does not end with one of .jsonl, .csv, .parquet"),
        (["tap", "t", "--out", "x.csv", "--count-by", "status"], "cannot be used with --count-by"),
        (["tap", "t", "--max", "1", "--state", "x"], "--max: cannot be used with --state"),
        (["tap", "t", "--raw", "--count-by", "status"], "cannot be used with --raw, which decodes no fields"),
        (["rejected", "list", "--since", "5"], "--since: '5' is not a valid duration"),
        (["dead", "list", "--limit", "many"], "--limit"),
        (["contact", "show", "acme", "+18005551234", "nobody"], "NUMBER: 'nobody' is not a valid phone number"),
        (["contact", "show", "acme", "list", "+18005551234"], "LIST: 'list' is not a valid phone number"),
        (
            ["providers", "test", "infobop", "--account", "acme"],
            "'infobop' is not a known provider; did you mean infobip?",
        ),
        (["providers", "test", "infobip"], "Missing option '--account'"),
        (["contact", "remove", "acme", "+18005551234", "+15551230001", "--reason", "x"], "--reason: 'x' is not one of"),
        (["contacts", "export", "--removed"], "Missing option '--account'"),
        (["contacts", "export", "--account", "acme", "--format", "xml"], "--format"),
        (["contacts", "import", "nowhere.csv", "--account", "a", "--list", "+18005551234"], "nowhere.csv"),
        (["keys", "create", "--name", "x"], "--account: name one account, or pass --all-accounts"),
        (["apply", "nowhere.toml"], "nowhere.toml"),
        (["apply"], "Missing argument 'FILE.toml'"),
        (["settings", "--jason"], "--jason"),
        (["opt-out"], "Missing argument 'text'"),
        (["endpoints", "rotate-secret", "acme/crm", "--overlap", "soon"], "--overlap: 'soon' is not a valid duration"),
        (["endpoints", "rotate-secret", "acme/crm", "--secret", "s3cret"], "--secret: is not env:NAME or file:PATH"),
        (["dead", "replay"], "EVENT_ID: name event IDs, or --endpoint"),
        (["rejected", "retry"], "ID: name IDs, or select"),
        (["replay"], "--endpoint: name the endpoint, or one of the commands list, show, stop"),
        (["replay", "--endpoint", "acme/crm"], "--from: give a time, or IDs with --id"),
        (["replay", "--endpoint", "acme/crm", "--from", "yesterday"], "--from: 'yesterday' is not a valid time"),
        (["replay", "--endpoint", "acme/crm", "--from", "1h", "--failed", "--dead"], "choose --failed or --dead"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_wrong(arguments: list[str], told: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert told in " ".join(result.stderr.replace("│", " ").split())


# Errors


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Failed("Nothing was changed."), "Nothing was changed."),
        (BrokerUnavailable("no broker at x:1"), "no broker at x:1"),
        (RegistryError("the registry is down"), "the registry is down"),
        (FileNotFoundError(2, "No such file or directory", "x.toml"), "x.toml: No such file or directory."),
        (TopicsMissing(["a", "b"]), "There is no topic a, b: run `trackly topics apply`."),
        (TopicsMissing(["a", "b", "c", "d", "e"]), "There is no topic a, b, c and 2 more: run `trackly topics apply`."),
        (ZeroDivisionError("division by zero"), None),
    ],
)
def test_expected_errors_are_sentences_and_bugs_are_not(error: Exception, told: str | None) -> None:
    assert sentence(error) == told


def test_a_wrong_setting_is_named_with_what_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLY_PARTITIONS", "many")
    result = runner.invoke(app, ["topics", "list"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("TRACKLY_PARTITIONS=many: ")
    assert result.stderr.count("\n") == 1


# Commands that ask no broker


def test_topics_list_gives_every_topic_with_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLY_TOPIC_PREFIX", "test.")
    monkeypatch.setenv("TRACKLY_RETRY_SCHEDULE", "10s,2h")
    result = runner.invoke(app, ["topics", "list", "--json"])
    topics = {str(line["name"]): line for line in lines_of(result.stdout)}
    assert result.exit_code == 0
    assert topics["test.sms.raw"] == {
        "name": "test.sms.raw",
        "partitions": 12,
        "retention": "7d",
        "record": "RawCallback",
        "purpose": default_catalogue()["raw"].purpose,
    }
    assert topics["test.sms.contacts"]["retention"] == "newest of each key"
    assert [name for name in topics if ".retry." in name] == [
        "test.sms.webhooks.retry.10s",
        "test.sms.webhooks.retry.2h",
    ]


def test_providers_list_says_what_each_is_given_and_what_proves_it() -> None:
    result = runner.invoke(app, ["providers", "list", "--json"])
    found = {line["provider"]: line for line in lines_of(result.stdout)}
    assert sorted(map(str, found)) == sorted([*PROVIDERS, *NETWORKS])
    assert found["lime"] == {
        "provider": "lime",
        "methods": ["GET", "POST"],
        "path": "/api/webhook-feedbacks/lime/SECRET?account=ID",
        "credentials": ["path_secret"],
        "setting": "LIME_WEBHOOK_SECRET",
    }
    assert found["cm"]["credentials"] == ["secret"]
    assert found["tune"]["credentials"] == ["token"]
    assert "LIME_WEBHOOK_SECRET" in runner.invoke(app, ["providers", "list"]).stdout


def test_a_list_without_a_terminal_is_plain_columns() -> None:
    lines = runner.invoke(app, ["topics", "list"]).stdout.splitlines()
    assert lines[0].split() == ["name", "partitions", "retention", "record", "purpose"]
    assert lines[1].split()[:4] == ["sms.raw", "12", "7d", "RawCallback"]
    assert lines[0].index("partitions") == lines[1].index("12")


def test_settings_say_value_default_and_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLY_PARTITIONS", "4")
    result = runner.invoke(app, ["settings", "--json"])
    found = {str(line["name"]): line for line in lines_of(result.stdout)}
    assert result.exit_code == 0
    partitions = found["TRACKLY_PARTITIONS"]
    assert (partitions["service"], partitions["value"], partitions["set"]) == ("every service", 4, True)
    assert "partitions of each topic" in str(partitions["meaning"])
    assert (found["TRACKLY_INGEST_PORT"]["value"], found["TRACKLY_INGEST_PORT"]["set"]) == (8080, False)
    assert {line["service"] for line in found.values()} == {
        "every service",
        "ingest",
        "streams",
        "sinks",
        "read-model",
        "console",
        "mirror",
    }


def test_settings_hide_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "trackly")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "s3cret")
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", "https://u:s3cret@registry.example/")
    result = runner.invoke(app, ["settings", "--json"])
    found = {line["name"]: line["value"] for line in lines_of(result.stdout)}
    assert "s3cret" not in result.output
    assert found["KAFKA_SASL_PASSWORD"] == "***"
    assert found["SCHEMA_REGISTRY_URL"] == "https://***@registry.example/"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "postgresql://h/db?user=u&password=s3cret&sslmode=require",
            "postgresql://h/db?user=u&password=***&sslmode=require",
        ),
        ("postgresql://h/db?sslpassword=s3cret", "postgresql://h/db?sslpassword=***"),
        ("postgresql://h/db?pass%77ord=s3cret", "postgresql://h/db?pass%77ord=***"),
        ("postgresql://u:s3cr/s3cret@h/db", "postgresql://***@h/db"),
        ("postgresql://u:x@s3cret@h/db", "postgresql://***@h/db"),
        ("host=h user=u password=s3cret", "host=h user=u password=***"),
    ],
)
@pytest.mark.parametrize("is_wrong", [False, True], ids=["right", "beside a wrong one"])
def test_settings_hide_the_password_of_the_database_wherever_it_stands(
    url: str, shown: str, is_wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    if is_wrong:
        monkeypatch.setenv("TRACKLY_READ_MODEL_BATCH", "0")
        monkeypatch.setenv("TRACKLY_API_RATE", "0")
    result = runner.invoke(app, ["settings", "--json"])
    assert {line["value"] for line in lines_of(result.stdout) if line["name"] == "DATABASE_URL"} == {shown}
    assert "s3cret" not in result.output


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_settings_are_shown_even_if_one_is_wrong(options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "nowhere")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "s3cret")
    result = runner.invoke(app, ["settings", *options])
    assert result.exit_code == 1
    assert "TRACKLY_INGEST_PORT" in result.stdout
    assert "KAFKA_BOOTSTRAP_SERVERS: 'nowhere' is not a valid host:port" in result.stderr
    assert "s3cret" not in result.output


# Opt-outs


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("s.t.o.p", ["opt-out: removes the contact, until it answers START", "layer obfuscations", "keyword STOP"]),
        (
            "this is spam",
            [
                "complaint: removes the contact, and START does not restore it",
                "layer complaints",
                "keyword this is spam",
            ],
        ),
        ("Start!", ["opt-in: restores a contact that was removed for the reason message"]),
        ("stop by at 5", ["reply: changes nothing"]),
        ("", ["reply: changes nothing"]),
    ],
)
def test_opt_out_tells_what_a_reply_would_be_taken_for(text: str, lines: list[str]) -> None:
    result = runner.invoke(app, ["opt-out", text])
    assert result.exit_code == 0
    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == lines


def test_opt_out_as_json() -> None:
    result = runner.invoke(app, ["opt-out", "--json", "stpo"])
    outcome = {"outcome": "opt_out", "layer": "misspellings", "keyword": "STOP", "reason": "message"}
    assert lines_of(result.stdout) == [{"text": "stpo", **outcome}]


def test_opt_out_takes_a_text_that_is_no_utf_8() -> None:
    result = runner.invoke(app, ["opt-out", "--json", "stop \udcff"])
    assert [(line["text"], line["outcome"]) for line in lines_of(result.stdout)] == [("stop ?", "opt_out")]


def test_a_shell_completes_commands_and_what_stands_below_them() -> None:
    def completed(words: str) -> set[str]:
        environment = {
            **os.environ,
            "_TRACKLY_COMPLETE": "complete_bash",
            "COMP_WORDS": f"trackly {words}",
            "COMP_CWORD": str(len(words.split(" "))),
        }
        done = subprocess.run(
            [sys.executable, "-m", "trackly"], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        return set(done.stdout.split())

    assert completed("doc") == {"doctor"}
    assert {"apply", "list", "describe"} <= completed("topics ")
