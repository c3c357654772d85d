from __future__ import annotations

import json
import logging
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from bus.environment import settings_error
from bus.settings import BusSettings
from bus.up_files import KEY_FILE
from bus.worker import faust_settings

NAMES = [str(field.validation_alias) for field in BusSettings.model_fields.values()]

SASL: dict[str, Any] = {"security_protocol": "SASL_PLAINTEXT", "sasl_username": "trackly", "sasl_password": "geheim"}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRACKLY_DATA_DIR", str(tmp_path))


def problems(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        BusSettings(**fields)
    return settings_error(caught.value)


def test_defaults_are_those_of_a_development_machine() -> None:
    settings = BusSettings()
    assert settings.bootstrap_servers == "localhost:9092"
    assert settings.security_protocol == "PLAINTEXT"
    assert settings.partitions == 12
    assert settings.replication == 1
    assert settings.retry_schedule == ("1m", "5m", "15m", "1h", "2h")
    assert settings.compression == "lz4"
    assert settings.topic_prefix == ""
    assert settings.instance_id is None


def test_every_field_has_a_variable_of_its_own_and_says_what_it_means() -> None:
    assert len(set(NAMES)) == len(NAMES)
    for field in BusSettings.model_fields.values():
        assert str(field.validation_alias).startswith(("KAFKA_", "TRACKLY_", "SCHEMA_REGISTRY_"))
        assert field.description


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "a:9092, b:9093", "bootstrap_servers", "a:9092,b:9093"),
        ("KAFKA_BOOTSTRAP_SERVERS", "[::1]:9092", "bootstrap_servers", "[::1]:9092"),
        ("TRACKLY_PARTITIONS", "4", "partitions", 4),
        ("TRACKLY_RETRY_SCHEDULE", "10s,2m", "retry_schedule", ("10s", "2m")),
        ("TRACKLY_RETRY_SCHEDULE", " 1 M , 5m ", "retry_schedule", ("1m", "5m")),
        ("TRACKLY_TOPIC_PREFIX", "staging.", "topic_prefix", "staging."),
        ("TRACKLY_COMPRESSION", "none", "compression", "none"),
        ("SCHEMA_REGISTRY_URL", "http://karapace:8081", "schema_registry_url", "http://karapace:8081"),
        ("KAFKA_SASL_USERNAME", " spaced ", "sasl_username", " spaced "),
        ("KAFKA_SASL_PASSWORD", "", "sasl_password", None),
        ("TRACKLY_PARTITIONS", "", "partitions", 12),
        ("KAFKA_SECURITY_PROTOCOL", " ", "security_protocol", "PLAINTEXT"),
    ],
)
def test_the_environment_sets_fields_and_empty_means_unset(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, value: object
) -> None:
    monkeypatch.setenv(variable, text)
    assert getattr(BusSettings(), field) == value


def test_keyword_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLY_PARTITIONS", "6")
    assert BusSettings(partitions=3).partitions == 3


@pytest.mark.parametrize("variable", ["PARTITIONS", "trackly_partitions", "DATA_DIR", "COMPRESSION"])
def test_no_other_variable_is_read(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    unchanged = BusSettings()
    monkeypatch.setenv(variable, "7")
    assert BusSettings() == unchanged


def test_the_broker_of_a_running_trackly_up_is_found(tmp_path: Path) -> None:
    (tmp_path / "addresses.json").write_text(json.dumps({"bootstrap_servers": "127.0.0.1:23456"}))
    assert BusSettings().bootstrap_servers == "127.0.0.1:23456"


def test_the_partitions_of_a_running_trackly_up_hold_for_its_broker_only(tmp_path: Path) -> None:
    known = {"bootstrap_servers": "127.0.0.1:23456", "partitions": "4"}
    (tmp_path / "addresses.json").write_text(json.dumps(known))
    assert BusSettings().partitions == 4
    assert BusSettings(partitions=6).partitions == 6
    assert BusSettings(bootstrap_servers="kafka:9092").partitions == 12


def test_a_configured_broker_wins_over_a_running_trackly_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "addresses.json").write_text(json.dumps({"bootstrap_servers": "127.0.0.1:23456"}))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    assert BusSettings().bootstrap_servers == "kafka:9092"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"partitions": 3}'])
def test_a_broken_address_file_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "addresses.json").write_text(content)
    settings = BusSettings()
    assert settings.bootstrap_servers == "localhost:9092"
    assert settings.partitions == 12


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("TRACKLY_PARTITIONS", "many", "TRACKLY_PARTITIONS=many: "),
        ("TRACKLY_PARTITIONS", "0", "TRACKLY_PARTITIONS=0: "),
        ("TRACKLY_REPLICATION", "-1", "TRACKLY_REPLICATION=-1: "),
        ("TRACKLY_RETRY_SCHEDULE", "1m,soon", "TRACKLY_RETRY_SCHEDULE: 'soon' is not a valid duration"),
        ("TRACKLY_RETRY_SCHEDULE", "5m,1m", "'1m' is not longer than the delay before it"),
        ("TRACKLY_RETRY_SCHEDULE", "60s,1m", "'1m' is not longer than the delay before it"),
        ("TRACKLY_RETRY_SCHEDULE", "0s", "'0s' is not longer"),
        ("TRACKLY_RETRY_SCHEDULE", ",", "TRACKLY_RETRY_SCHEDULE: no delay is given"),
        ("TRACKLY_RETRY_SCHEDULE", "1m,7d", "'7d' is longer than the retention of a delay topic"),
        ("TRACKLY_COMPRESSION", "zip", "TRACKLY_COMPRESSION=zip: Input should be 'none', 'lz4' or 'gzip'"),
        ("TRACKLY_TOPIC_PREFIX", "a/b", "TRACKLY_TOPIC_PREFIX: 'a/b' cannot begin a topic name"),
        ("TRACKLY_INSTANCE_ID", "a b", "TRACKLY_INSTANCE_ID=a b: "),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka", "KAFKA_BOOTSTRAP_SERVERS: 'kafka' is not a valid host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka://a:9092", "'kafka://a:9092' is not a valid host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:99999", "'a:99999' is not a valid host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", ",", "KAFKA_BOOTSTRAP_SERVERS: no server is given"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS", "KAFKA_SECURITY_PROTOCOL=TLS: "),
        ("KAFKA_OAUTH_TOKEN_URL", "http://issuer/token", "KAFKA_OAUTH_TOKEN_URL: it must begin with https://"),
        ("KAFKA_OAUTH_TOKEN_URL", "http://localhost.evil/t", "KAFKA_OAUTH_TOKEN_URL: it must begin with https://"),
        ("TRACKLY_TOPIC_SETTINGS", "sms.row:retention.ms=1", "'sms.row' is not a known topic"),
        ("TRACKLY_TOPIC_SETTINGS", "sms.raw", "'sms.raw' is not TOPIC:SETTING=VALUE"),
        ("TRACKLY_TOPIC_SETTINGS", "sms.raw:cleanup.policy=compact", "cleanup.policy must not be changed"),
        ("TRACKLY_TOPIC_SETTINGS", "sms.contacts:retention.ms=1", "retention.ms of sms.contacts must not be changed"),
        ("TRACKLY_TOPIC_SETTINGS", "*:retention.ms=1", "retention.ms of * must not be changed"),
        ("TRACKLY_TOPIC_SETTINGS", "sms.raw:retention.ms=14d", "retention.ms=14d must be a number of milliseconds"),
        ("KAFKA_OAUTH_EXTENSIONS", "a b=c", "KAFKA_OAUTH_EXTENSIONS=a b=c: "),
        ("KAFKA_SSL_CAFILE", "/nowhere/ca.pem", "KAFKA_SSL_CAFILE=/nowhere/ca.pem: "),
    ],
)
def test_a_wrong_value_is_reported_in_one_line_with_what_is_expected(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, said: str
) -> None:
    monkeypatch.setenv(variable, text)
    line = problems()
    field = next(f for f in BusSettings.model_fields.values() if f.validation_alias == variable)
    assert said in line
    assert "\n" not in line
    assert line.endswith(f"Expected: {field.description}.")


def test_all_problems_are_reported_at_once() -> None:
    assert len(problems(partitions=0, replication=0, compression="zip").splitlines()) == 3


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"security_protocol": "SASL_SSL"}, "needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"),
        ({"security_protocol": "SASL_SSL", "sasl_username": "u"}, "KAFKA_SASL_PASSWORD"),
        ({"sasl_username": "u", "sasl_password": "geheim"}, "KAFKA_SECURITY_PROTOCOL is PLAINTEXT"),
        ({"ssl_cafile": __file__}, "KAFKA_SECURITY_PROTOCOL is PLAINTEXT"),
        ({"security_protocol": "SSL", "ssl_keyfile": __file__}, "without KAFKA_SSL_CERTFILE"),
    ],
)
def test_half_a_security_configuration_is_refused(fields: dict[str, Any], said: str) -> None:
    assert said in problems(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"sasl_password": "geheim"},
        {"sasl_password": "geheim", "security_protocol": "PLAINTEXT", "partitions": 0},
        {"schema_registry_url": "karapace:geheim@host"},
    ],
)
def test_no_secret_is_reported(fields: dict[str, Any]) -> None:
    assert "geheim" not in problems(**fields)


def test_passwords_reach_the_clients_but_no_log(caplog: pytest.LogCaptureFixture) -> None:
    settings = BusSettings(**SASL)
    arguments = settings.kafka_python()
    assert settings.sasl_password == SecretStr("geheim")
    assert arguments["sasl_plain_password"].encode() == b"geheim"
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("kafka.admin.client").debug("configuration: %s", arguments)
        logging.getLogger("trackly").debug("settings: %s", settings)
    assert "geheim" not in caplog.text


def test_plaintext_needs_no_credentials() -> None:
    settings = BusSettings(bootstrap_servers="a:1,b:2")
    assert settings.aiokafka() == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
    }
    assert settings.kafka_python() == settings.aiokafka()
    assert faust_settings.broker(settings) == "kafka://a:1;kafka://b:2"
    assert faust_settings.credentials(settings) is None


def test_sasl_is_the_same_for_all_three_clients() -> None:
    from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

    settings = BusSettings(**SASL, sasl_mechanism="scram-sha-512")
    wanted = {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "trackly",
        "sasl_plain_password": "geheim",
        "ssl_context": None,
    }
    assert credentials_to_aiokafka_auth(faust_settings.credentials(settings)) == wanted
    assert wanted.items() <= settings.aiokafka().items()
    assert wanted.items() <= settings.kafka_python().items()


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
def test_tls_verifies_the_broker_and_reaches_all_three_clients(protocol: str) -> None:
    from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

    settings = BusSettings(**{**(SASL if protocol == "SASL_SSL" else {}), "security_protocol": protocol})
    context = settings.aiokafka()["ssl_context"]
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert settings.kafka_python()["ssl_context"] is context
    reached = credentials_to_aiokafka_auth(faust_settings.credentials(settings))
    assert reached["ssl_context"] is context
    assert reached["security_protocol"] == protocol


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_client_certificate_is_loaded_with_its_key_password(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    made += ["-subj", "/CN=trackly", "-passout", "pass:geheim", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    files: dict[str, Any] = {
        "security_protocol": "SSL",
        "ssl_certfile": certificate,
        "ssl_keyfile": key,
        "ssl_cafile": certificate,
    }

    context = BusSettings(**files, ssl_key_password="geheim").ssl_context
    assert context is not None
    assert [dict(ca["subject"][0])["commonName"] for ca in context.get_ca_certs()] == ["trackly"]
    with pytest.raises(ssl.SSLError):
        _ = BusSettings(**files).ssl_context


def test_names_of_arguments_are_those_of_the_clients() -> None:
    from inspect import signature

    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
    from kafka import KafkaConsumer
    from kafka.admin import KafkaAdminClient

    names = BusSettings(**SASL).aiokafka().keys()
    assert names <= signature(AIOKafkaProducer.__init__).parameters.keys()
    assert names <= signature(AIOKafkaConsumer.__init__).parameters.keys()
    assert names <= KafkaConsumer.DEFAULT_CONFIG.keys()
    assert names <= KafkaAdminClient.DEFAULT_CONFIG.keys()


def test_the_catalogue_has_this_deployments_names_and_delays() -> None:
    settings = BusSettings(topic_prefix="staging.", partitions=3, retry_schedule=("1s", "2s"))
    assert settings.catalogue is settings.catalogue
    assert settings.catalogue["raw"].name.startswith("staging.")
    assert settings.catalogue["raw"].partitions == 3
    assert [tier.delay_ms for tier in settings.catalogue.delay_tiers] == [1_000, 2_000]


# Keys of secrets

KEY_A, KEY_B = "A" * 43 + "=", "B" * 42 + "A="


def test_keys_of_secrets_come_from_the_environment_or_from_the_data_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert BusSettings().secret_keys == ()
    (tmp_path / KEY_FILE).write_text(f"{KEY_A}\n{KEY_B}\n")
    assert BusSettings().secret_keys == (SecretStr(KEY_A), SecretStr(KEY_B))
    monkeypatch.setenv("TRACKLY_SECRET_KEYS", f" {KEY_B}, ")
    assert BusSettings().secret_keys == (SecretStr(KEY_B),)


@pytest.mark.parametrize("text", ["short", KEY_A[:-1], KEY_A + "!", f"{KEY_A},x"])
def test_a_key_that_is_none_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TRACKLY_SECRET_KEYS", text)
    told = problems()
    assert told.startswith("TRACKLY_SECRET_KEYS: key ")
    assert text not in told


def test_settings_of_topics_are_the_catalogue_s_but_for_those_that_are_named() -> None:
    text = "sms.raw:retention.ms=1209600000, *:segment.bytes=104857600,sms.raw:segment.bytes=1048576"
    catalogue = BusSettings(topic_prefix="eu.", topic_settings=text).catalogue
    raw, receipts = catalogue["raw"], catalogue["receipts"]
    assert (raw.retention_ms, raw.settings["retention.ms"], raw.settings["segment.bytes"]) == (
        1_209_600_000,
        "1209600000",
        "1048576",
    )
    assert receipts.settings == {**BusSettings().catalogue["receipts"].settings, "segment.bytes": "104857600"}
