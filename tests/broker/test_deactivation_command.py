"""`trackly contacts deactivations` on a real broker: by date, once, and resumed after a kill."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.records import AccountConfig, AuditEntry, ContactCommand, ContactState, ListConfig, RemovedEvent
from tests.cluster import Cluster, running
from tests.patience import until
from trackly.commands.contact.imports import CHUNK

pytestmark = pytest.mark.broker

LIST = "+18005550001"
DAY_ENDS = 1_795_219_199_999
"""The last millisecond of 2026-11-20."""


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("deactivations")
    accounts = [AccountConfig(id=account, name=account) for account in ("acme", "piped", "killed")]
    lists = [ListConfig(account=account.id, number=LIST) for account in accounts]
    with running(broker, directory, "deact", [*accounts, *lists], "streams-1") as cluster:
        yield cluster


def orders(cluster: Cluster, account: str) -> list[ContactCommand]:
    return [r for r in cluster.records("commands") if isinstance(r, ContactCommand) and r.account == account]


def suppressed(cluster: Cluster, account: str) -> dict[str, ContactState]:
    """Return the account-wide states, by number."""
    states = [r for r in cluster.records("contacts") if isinstance(r, ContactState) and r.account == account]
    return {state.phone_number: state for state in states if state.scope == "account"}


def test_the_numbers_of_a_file_are_out_of_every_list_as_of_its_day(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "deactivations-2026-11-20.txt"
    path.write_text("15125550101\n5125550102\n+15125550103\nnobody\n", "utf-8")
    arguments = ("contacts", "deactivations", str(path), "--account", "acme")
    looked = cluster.trackly(*arguments, "--dry-run", "--json")
    assert looked.returncode == 0
    found = json.loads(looked.stdout)
    assert (found["lines"], found["rejected"], found["reasons"]) == (4, 1, {"deactivated": 3})
    assert found["days"] == {"2026-11-20": 3}
    assert orders(cluster, "acme") == []

    assert cluster.trackly(*arguments).returncode == 2  # a line is rejected, and there is nobody to ask
    done = cluster.trackly(*arguments, "--yes", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"lines": 4, "removed": 3, "rejected": 1})
    until(lambda: len(suppressed(cluster, "acme")) == 3)
    states = suppressed(cluster, "acme").values()
    assert {(state.reason, state.since, state.active) for state in states} == {("deactivated", DAY_ENDS, False)}
    events = [r for r in cluster.records("removed") if isinstance(r, RemovedEvent) and r.account == "acme"]
    assert {(event.reason, event.list_number, event.timestamp) for event in events} == {("deactivated", LIST, DAY_ENDS)}
    entries = [r for r in cluster.records("audit") if isinstance(r, AuditEntry) and r.account == "acme"]
    assert [entry.action for entry in entries] == ["contacts.deactivations"]

    again = cluster.trackly(*arguments, "--yes", "--json")
    assert again.returncode == 0
    assert len({order.event_id for order in orders(cluster, "acme")}) == 3


def test_standard_input_takes_pages_of_json(cluster: Cluster) -> None:
    record = {"date": "2026-11-20T00:00:00.000+0000", "destination": "15125550104", "type": "DEACTIVATION"}
    page = json.dumps({"results": [record, {**record, "type": "SUSPENSION"}], "paging": {"page": 0}}, indent=1)
    command = cluster.command("contacts", "deactivations", "-", "--account", "piped", "--json")
    done = subprocess.run(command, env=cluster.environment, input=page, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"lines": 2, "removed": 1, "rejected": 0})
    until(lambda: list(suppressed(cluster, "piped")) == ["+15125550104"])


@pytest.mark.parametrize(
    ("name", "arguments", "code", "told"),
    [
        ("numbers.txt", (), 1, "pass --date"),
        ("numbers.txt", ("--date", "20 November"), 2, "is not a valid day, such as"),
        ("numbers.txt", ("--date", "2026-11-20", "--reason", "bored"), 2, "neither deactivated nor reassigned"),
        ("numbers.txt", ("--date", "2026-11-20", "--account", "nobody"), 1, "There is no account 'nobody'"),
        (None, ("--from", "nobody"), 2, "is not one of twilio, vonage, infobip"),
        (None, ("--from", "twilio"), 1, "--user is missing"),
        (None, (), 2, "name a file"),
    ],
)
def test_a_mistake_is_told(
    cluster: Cluster, tmp_path: Path, name: str | None, arguments: tuple[str, ...], code: int, told: str
) -> None:
    given: tuple[str, ...] = ()
    if name is not None:
        (tmp_path / name).write_text("15125550101\n", "utf-8")
        given = (str(tmp_path / name),)
    done = cluster.trackly("contacts", "deactivations", *given, "--account", "acme", *arguments)
    assert (done.returncode, told in " ".join(done.stderr.replace("│", " ").split())) == (code, True), done.stderr


def test_a_run_that_was_killed_goes_on_where_it_was_and_loses_and_repeats_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    path, count = tmp_path / "2026-11-20.txt", 6 * CHUNK
    path.write_text("\n".join(f"1512{n:07d}" for n in range(count)) + "\n", "utf-8")
    state = tmp_path / "2026-11-20.txt.import.json"
    arguments = ("contacts", "deactivations", str(path), "--account", "killed", "--yes")
    process = subprocess.Popen(
        cluster.command(*arguments), env=cluster.environment, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    until(state.exists)
    process.kill()
    process.wait()
    done = cluster.trackly(*arguments, "--json")
    assert "Continuing after line" in done.stderr
    assert json.loads(done.stdout) == {"lines": count, "removed": count, "rejected": 0}
    given = orders(cluster, "killed")
    assert len({order.phone_number for order in given}) == len({order.event_id for order in given}) == count
    until(lambda: len(suppressed(cluster, "killed")) == count)
    assert not any(state.active for state in suppressed(cluster, "killed").values())
    events = [r.event_id for r in cluster.records("removed") if isinstance(r, RemovedEvent) and r.account == "killed"]
    assert (len(events), len(set(events))) == (count, count)
