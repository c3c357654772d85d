"""Names of environment variables that are probably meant as settings."""

from __future__ import annotations

import pytest

from trackly.commands.environment import misspelled_names


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TRACKLY_SECRET_KEY", "TRACKLY_SECRET_KEYS"),
        ("TRACKLY_PARTITONS", "TRACKLY_PARTITIONS"),
        ("KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"),
        ("TRACKLY_DATABASE_URL", "DATABASE_URL"),
        ("TRACKLY_KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS"),
        ("TRACKLY_LOG_LEVELS", "TRACKLY_LOG_LEVEL"),
    ],
)
def test_a_name_like_a_setting_is_told_with_the_setting(name: str, meant: str) -> None:
    assert list(misspelled_names({name: "x"})) == [f"{name} is not a setting; did you mean {meant}?"]


@pytest.mark.parametrize(
    "name",
    [
        "TRACKLY_SECRET_KEYS",
        "TRACKLY_LOG_LEVEL",
        "TRACKLY_LOG_FORMAT",
        "TRACKLY_BACKUP_PASSPHRASE",
        "DATABASE_URL",
        "ACME_WEBHOOK_SECRET",  # a secret of an account's, alike LIME_WEBHOOK_SECRET
        "TRACKLY_CONSOLE_SERVICE_PORT",  # what Kubernetes sets for a service named trackly-console
        "TRACKLY_CONSOLE_PORT_8081_TCP",
        "TRACKLY_INGEST_SERVICE_HOST",
        "KAFKA_HEAP_OPTS",
        "PATH",
    ],
)
def test_other_names_are_not_told(name: str) -> None:
    assert list(misspelled_names({name: "x"})) == []
