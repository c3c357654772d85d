"""`trackly up` as people start it, with the embedded broker; its files are closed to other users."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.embedded.broker import free_port
from bus.up_files import ADDRESSES
from console.signin.first import FILE
from tests.patience import PATIENCE, http

pytestmark = [pytest.mark.broker, pytest.mark.slow]

UP_SECONDS = 120.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Yield the data directory of a running `trackly up`, and its output. The directory existed, open to others."""
    directory = tmp_path_factory.mktemp("up") / "data"
    directory.mkdir()
    directory.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRACKLY_", "KAFKA_"))}
    arguments = ["up", "--data", str(directory), "--port", str(free_port()), "--console-port", str(free_port())]
    said = directory.parent / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "trackly", *arguments], env=environment, stdout=output, stderr=output, umask=0o022
        )
    try:
        deadline = time.monotonic() + UP_SECONDS
        while "trackly is up." not in said.read_text() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.2)
        assert "Ctrl-C stops everything." in said.read_text()
        yield directory, said.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def test_nothing_that_it_makes_can_be_read_by_another_user(data: tuple[Path, str]) -> None:
    directory, said = data
    made = [directory, *directory.rglob("*")]
    modes = {str(path): oct(path.stat().st_mode) for path in made if path.stat().st_mode & 0o077}
    assert len(made) > 20
    assert modes == {}
    assert "it is now closed (mode 0700)" in said


def test_the_first_admins_link_is_in_a_file_that_the_log_names_and_in_no_log(data: tuple[Path, str]) -> None:
    directory, said = data
    file = directory / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert str(file) in said
    assert str(file) in (directory / "logs" / "console.log").read_text()
    token = file.read_text().strip().rpartition("/")[2]
    assert len(token) > 20
    logs = [*(directory / "logs").iterdir(), *directory.glob("kafka/*.log"), directory.parent / "said"]
    assert [path.name for path in logs if token in path.read_text()] == []


def test_that_link_opens_the_page_that_sets_the_password(data: tuple[Path, str]) -> None:
    answer = http.get((data[0] / FILE).read_text().strip())
    assert answer.status_code == 200
    assert "New password" in answer.text


def test_it_says_where_each_service_serves_its_metrics(data: tuple[Path, str]) -> None:
    line = re.search(r"(?m)^ +ports +(.*)   each serves /readyz and /metrics on 127\.0\.0\.1$", data[1])
    assert line is not None
    ports = dict(each.split() for each in line[1].split("  "))
    assert set(ports) == {"ingest", "console", "read-model", "streams-1", "sinks-1"}
    for name, port in ports.items():
        service = name.removesuffix("-1").replace("-", "_")
        assert f'service="{service}"' in http.get(f"http://127.0.0.1:{port}/metrics").text


def test_it_says_that_its_broker_trusts_every_user_of_the_machine(data: tuple[Path, str]) -> None:
    assert re.search(r"broker +127\.0\.0\.1:\d+ +every user of this machine can read and write", data[1])


def test_a_second_one_in_the_same_directory_is_refused_and_leaves_the_first_to_be_found(data: tuple[Path, str]) -> None:
    directory, _ = data
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRACKLY_", "KAFKA_"))}
    addresses = (directory / ADDRESSES).read_text()
    second = subprocess.run(
        [sys.executable, "-m", "trackly", "up", "--data", str(directory), "--port", str(free_port())],
        env=environment, capture_output=True, text=True, timeout=UP_SECONDS, check=False,
    )  # fmt: skip
    assert (second.returncode, f"{directory} is in use by another `trackly up`" in second.stderr) == (1, True)
    assert (directory / ADDRESSES).read_text() == addresses
