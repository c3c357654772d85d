"""The command as people use it: a process with the environment of one test."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from accounts.secrets import new_key
from bus.admin import Admin
from bus.settings import BusSettings
from tests.commands import Trackly


@pytest.fixture
def environment(bus_settings: BusSettings) -> dict[str, str]:
    return {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": bus_settings.bootstrap_servers,
        "TRACKLY_TOPIC_PREFIX": bus_settings.topic_prefix,
        "TRACKLY_PARTITIONS": str(bus_settings.partitions),
        "TRACKLY_DATA_DIR": str(bus_settings.data_dir),
        "TRACKLY_SECRET_KEYS": new_key(),
    }


@pytest.fixture
def trackly(environment: dict[str, str]) -> Trackly:
    """Runs the command to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "trackly", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def topics(bus_settings: BusSettings) -> None:
    with Admin(bus_settings) as admin:
        admin.apply(bus_settings.catalogue)
