"""`trackly contact` and `trackly keys` as people use them, with a running streams worker."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from schemas.records import AccountConfig, ContactCommand, ContactState, ListConfig
from tests.cluster import Cluster, running
from tests.patience import http, until
from trackly.commands.contact import imports
from trackly.commands.contact.imports import CHUNK

pytestmark = pytest.mark.broker

LIST = "+18005550001"


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("commands")
    accounts = [QUIET, *(AccountConfig(id=account, name=account) for account in ("acme", "mass", "killed"))]
    lists = [ListConfig(account=account.id, number=LIST) for account in accounts]
    with running(broker, directory, "cmd", [*accounts, *lists], "streams-1", "console-1") as cluster:
        yield cluster


def removed(cluster: Cluster, account: str) -> dict[str, ContactState]:
    """Return the latest state of an account's removed contacts, by number."""
    states = [r for r in cluster.records("contacts") if isinstance(r, ContactState) and r.account == account]
    last = {state.phone_number: state for state in states}
    return {number: state for number, state in last.items() if not state.active}


def write_list(path: Path, count: int, bad: int = 0) -> None:
    lines = [f"+1555{n:07d},{'complaint' if n % 2 else ''}" for n in range(count)] + ["nobody,"] * bad
    path.write_text("number,reason\n" + "\n".join(lines) + "\n", "utf-8")


# One contact


def test_a_contact_is_removed_shown_and_restored(cluster: Cluster) -> None:
    contact = ("acme", LIST, "1 555 020 0001")

    def is_shown(removed: bool) -> bool:
        return ("do not text" in cluster.trackly("contact", "show", *contact).stdout) is removed

    for command in ("remove", "restore"):
        done = cluster.trackly("contact", command, *contact)
        assert (done.returncode, done.stdout) == (0, "")
        assert f"+15550200001 is to be {command}d" in done.stderr
        until(partial(is_shown, command == "remove"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("remove", "nobody", LIST, "+15550200002"), "There is no account 'nobody'."),
        (("restore", "acme", "+18005550009", "+15550200002"), "Account acme has no list +18005550009"),
    ],
)
def test_an_order_for_an_unknown_list_is_not_given(cluster: Cluster, arguments: tuple[str, ...], told: str) -> None:
    done = cluster.trackly("contacts", *arguments)
    assert (done.returncode, told in done.stderr) == (1, True)
    assert not [r for r in cluster.records("commands") if "+15550200002" in repr(r)]


# Places

QUIET = AccountConfig(id="quiet", name="quiet", sending_rules=("us",))


def test_where_contacts_are_is_taken_one_by_one_and_from_a_file(cluster: Cluster, tmp_path: Path) -> None:
    def shown(number: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(cluster.trackly("contact", "show", "quiet", LIST, number, "--json").stdout)
        return found

    nowhere = shown("+18005550123")
    assert (nowhere["active"], nowhere["may_be_texted"], nowhere["reason"]) == (True, False, "quiet_hours")
    assert (nowhere["rule"], nowhere["time_zones"]) == ("no-time-zone", [])
    assert "quiet, and no later time" in cluster.trackly("contact", "show", "quiet", LIST, "+18005550123").stdout
    done = cluster.trackly("contact", "place", "quiet", "+12125550123", "--time-zone", "America/Denver")
    assert done.returncode == 0, done.stderr
    assert shown("+12125550123")["time_zones"] == ["America/Denver"]
    assert cluster.trackly("contact", "place", "quiet", "+12125550123").returncode == 0
    assert shown("+12125550123")["time_zones"] == ["America/New_York"]
    path = tmp_path / "places.csv"
    path.write_text("number,state\n+12125550123,TX\n+13055550123,TX\n+13055550124,ON\n", "utf-8")
    done = cluster.trackly("contacts", "places", str(path), "--account", "quiet", "--yes", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"lines": 3, "taken": 2, "rejected": 1})
    assert "line 4: 'ON' is not a state" in done.stderr
    for number in ("+12125550123", "+13055550123"):
        assert shown(number)["time_zones"] == ["America/Chicago", "America/Denver"]


# Suppression lists


def test_a_list_that_is_imported_comes_out_again(cluster: Cluster, tmp_path: Path) -> None:
    path, out = tmp_path / "list.csv", tmp_path / "out.csv"
    write_list(path, 300, bad=2)
    done = cluster.trackly("contacts", "import", str(path), "--account", "mass", "--list", LIST, "--yes", "--json")
    found = {"lines": 303, "removed": 300, "rejected": 2, "doubtful": 300}
    assert (done.returncode, json.loads(done.stdout)) == (0, found)
    rejected = list(csv.DictReader((tmp_path / "list.csv.rejected.csv").read_text("utf-8").splitlines()))
    assert [(row["line"], row["reason"]) for row in rejected] == [
        ("302", "the number is not a valid phone number"),
        ("303", "the number is not a valid phone number"),
    ]
    assert not (tmp_path / "list.csv.import.json").exists()
    until(lambda: len(removed(cluster, "mass")) == 300)

    export = ("contacts", "export", "--removed", "--account", "mass", "--list", LIST)
    assert cluster.trackly(*export, "--out", str(out)).returncode == 0
    rows = list(csv.DictReader(out.read_text("utf-8").splitlines()))
    assert [row["number"] for row in rows] == [f"+1555{n:07d}" for n in range(300)]
    assert {row["active"] for row in rows} == {"false"}
    lines = cluster.trackly(*export, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["number"] for line in lines] == [row["number"] for row in rows]

    again = cluster.trackly("contacts", "import", str(out), "--account", "mass", "--list", LIST, "--yes", "--json")
    assert json.loads(again.stdout) == {"lines": 301, "removed": 300, "rejected": 0, "doubtful": 300}


def test_an_export_of_removed_contacts_leaves_the_others_out(cluster: Cluster) -> None:
    number = "+15550200003"
    for command in ("remove", "restore"):
        cluster.trackly("contact", command, "acme", LIST, number)
    until(lambda: f"{number},," in cluster.trackly("contacts", "export", "--account", "acme").stdout)
    assert number not in cluster.trackly("contacts", "export", "--account", "acme", "--removed").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--account", "nobody"), "There is no account 'nobody'"),
        (("--account", "acme", "--list", "+18005550009"), f"Account acme has no list +18005550009; its lists: {LIST}"),
    ],
)
def test_an_export_of_what_does_not_exist_is_no_empty_file(
    cluster: Cluster, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    out = tmp_path / "removed.csv"
    done = cluster.trackly("contacts", "export", *arguments, "--removed", "--out", str(out))
    assert (done.returncode, out.exists()) == (1, False)
    assert told in done.stderr


def test_an_import_that_was_killed_goes_on_where_it_was(cluster: Cluster, tmp_path: Path) -> None:
    path, count = tmp_path / "list.csv", 6 * CHUNK
    write_list(path, count, bad=3)
    state, rejects = tmp_path / "list.csv.import.json", tmp_path / "list.csv.rejected.csv"
    arguments = ("contacts", "import", str(path), "--account", "killed", "--list", LIST, "--yes")
    process = subprocess.Popen(
        cluster.command(*arguments), env=cluster.environment, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    until(state.exists)
    process.kill()
    process.wait()
    at = json.loads(state.read_text("utf-8"))
    assert 0 < at["removed"] < count

    other = cluster.trackly(*arguments, "--reason", "complaint")
    assert other.returncode == 1
    assert "--restart" in other.stderr

    done = cluster.trackly(*arguments, "--json")
    assert f"Continuing after line {at['line']:,}." in done.stderr
    found = {"lines": count + 4, "removed": count, "rejected": 3, "doubtful": count}
    assert json.loads(done.stdout) == found
    assert len(rejects.read_text("utf-8").splitlines()) == 4
    orders = [r for r in cluster.records("commands") if isinstance(r, ContactCommand) and r.account == "killed"]
    assert len({order.phone_number for order in orders}) == count
    assert len(orders) <= count + CHUNK
    # What was done twice has the same id and time.
    assert len({repr(order) for order in orders}) == count


def test_an_import_waits_for_streams_and_gives_up_when_it_is_away(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "list.csv"
    write_list(path, 6 * CHUNK)
    cluster.stop("streams-1")
    try:
        with monkeypatch.context() as hasty:
            hasty.setattr(imports, "PATIENCE", 2.0)
            done = cluster.trackly("contacts", "import", str(path), "--account", "mass", "--list", LIST, "--yes")
    finally:
        cluster.start("streams-1")
    assert done.returncode == 1
    assert "not processing them. Start it" in done.stderr
    assert (tmp_path / "list.csv.import.json").exists()
    again = cluster.trackly("contacts", "import", str(path), "--account", "mass", "--list", LIST, "--yes")
    assert again.returncode == 0, again.stderr


# Keys


def test_a_key_is_shown_once_opens_its_account_and_can_be_revoked(cluster: Cluster) -> None:
    made = cluster.trackly("keys", "create", "--account", "acme", "--name", "shop", "--json")
    key = json.loads(made.stdout)
    url = cluster.console("console-1") + f"/api/contacts/{LIST}/+15550200004"

    def status() -> int:
        return http.get(url, headers={"X-Api-Key": key["key"]}).status_code

    until(lambda: status() == 200)
    listed = cluster.trackly("keys", "list")
    assert key["key"] not in listed.stdout
    assert key["id"] in listed.stdout
    assert cluster.trackly("keys", "revoke", key["id"]).returncode == 0
    until(lambda: status() == 401)
    (line,) = [json.loads(each) for each in cluster.trackly("keys", "list", "--json").stdout.splitlines()]
    assert (line["state"], line["name"], "key" in line) == ("revoked", "shop", False)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("create", "--account", "nobody", "--name", "x"), 1, "There is no account 'nobody'."),
        (("create", "--name", "x"), 2, "name one account, or pass --all-accounts"),
        (("create", "--name", "x", "--account", "acme", "--all-accounts"), 2, "name one account"),
        (("create", "--name", "", "--account", "acme"), 2, "must be 1 to 100"),
        (("create", "--name", "x", "--account", "acme", "--expires", "soon"), 2, "is not a valid duration"),
        (("revoke", "key_none"), 1, "There is no key 'key_none'"),
    ],
)
def test_a_mistake_about_keys_is_told(cluster: Cluster, arguments: tuple[str, ...], code: int, told: str) -> None:
    done = cluster.trackly("keys", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in " ".join(done.stderr.replace("│", " ").split())
