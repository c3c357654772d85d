"""The wheel in its own venv, with exactly what requirements.lock pins."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.release import ROOT, bill_of_materials, version, wheel
from schemas.topics import Catalogue
from tests.patience import PATIENCE

pytestmark = pytest.mark.timeout(900)

INSTALL_TIMEOUT = 480
"""Seconds. A minute where pip has the packages already."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def programs(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return `bin` of a fresh venv in which the wheel is installed."""
    venv = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=PATIENCE)
    pip = [
        str(venv / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--disable-pip-version-check",
    ]
    locked = [*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")]
    try:
        done = subprocess.run(locked, capture_output=True, text=True, timeout=INSTALL_TIMEOUT)
    except subprocess.TimeoutExpired:
        pytest.skip(f"pip did not install the lock within {INSTALL_TIMEOUT} s: the wheel was NOT tried")
    if done.returncode and "hash" not in done.stderr.lower():
        pytest.skip(f"pip cannot fetch what the lock pins, the wheel was NOT tried: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    subprocess.run([*pip, "--no-deps", "--no-index", str(built)], check=True, timeout=PATIENCE)
    return venv / "bin"


def ran(programs: Path, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(programs), "HOME": str(directory), "TRACKLY_DATA_DIR": str(directory / "data")}
    command = [str(programs / "trackly"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=directory, env=environment)


def test_the_wheel_has_the_data_of_every_room_and_no_tests(built: Path) -> None:
    names = set(zipfile.ZipFile(built).namelist())
    kinds = (".toml", ".avsc", ".json", ".html", ".css", ".js", ".mako", ".svg", ".py")
    rooms = {name.partition("/")[0] for name in names if name.endswith(".py")}
    assert not rooms & {"tests", "bench", "deploy"}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    expected = {name for name in tracked if name.partition("/")[0] in rooms and name.endswith(kinds)}
    assert expected - names - {name for name in expected if "/released/" in name} == set()


def test_it_runs_where_nothing_else_is_installed(programs: Path, tmp_path: Path) -> None:
    assert ran(programs, tmp_path, "--version").stdout == f"trackly {version()}\n"
    listed = ran(programs, tmp_path, "topics", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    assert [json.loads(line)["name"] for line in listed.stdout.splitlines()] == [t.name for t in Catalogue().values()]
    for command in (("settings",), ("schemas", "list"), ("topics", "acls")):
        done = ran(programs, tmp_path, *command)
        assert done.returncode == 0, (command, done.stderr)


def test_every_service_can_be_imported(programs: Path, tmp_path: Path) -> None:
    modules = "ingest.app, streams.app, sinks.app, readmodel.service, console.app, registry.app, trackly.commands.up"
    done = subprocess.run(
        [programs / "python", "-c", f"import {modules}"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_the_lock_has_all_that_the_wheel_requires(programs: Path, tmp_path: Path) -> None:
    done = subprocess.run([programs / "python", "-m", "pip", "check"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_broker_for_development_is_an_extra(programs: Path, tmp_path: Path) -> None:
    done = ran(programs, tmp_path, "broker")
    assert done.returncode == 1
    assert "pip install 'trackly[dev-broker]'" in done.stderr


def test_the_bill_of_materials_names_what_the_lock_pins(tmp_path: Path) -> None:
    bill = json.loads(bill_of_materials(tmp_path).read_text("utf-8"))
    locked = re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", (ROOT / "requirements.lock").read_text(), re.M
    )
    assert {(part["name"], part["version"]) for part in bill["components"]} == set(locked)
    assert bill["metadata"]["component"]["name"] == "trackly"
    assert all(part["externalReferences"] for part in bill["components"])
