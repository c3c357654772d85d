"""The command as people use it: a process, its environment, its output, and its exit code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bus.settings import BusSettings
from schemas.ids import contact_key, recipient_key
from schemas.records import ContactState, DeadWebhook, DeliveryEvent, RejectedRecord
from tests.commands import NOW, Trackly, lines_of, write
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker

NUMBER = "+18005550123"
CONTACT = contact_key("acme", "+18005551234", NUMBER)

ACCOUNTS = """
[[accounts]]
id = "acme"
name = "Acme Media"
[accounts.providers.twilio]
auth_token = "t0p-s3cret"
[accounts.opt_out]
keywords = ["GENUG"]
[[accounts.lists]]
number = "+18005551234"
[[accounts.endpoints]]
id = "crm"
url = "https://crm.example.com/trackly"
secret = "env:ACME_WEBHOOK_SECRET"
[[accounts.endpoints]]
id = "new"
url = "https://new.example.com/trackly"
"""


@pytest.fixture
def accounts_file(tmp_path: Path) -> str:
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNTS, "utf-8")
    return str(path)


def delivery(number: int, status: str) -> tuple[bytes, DeliveryEvent]:
    event = DeliveryEvent(
        event_id=f"evt_{number}",
        account="acme",
        message_id=f"m{number}",
        provider_message_id=f"p{number}",
        provider="infobip",
        to=NUMBER,
        list_number="+18005551234",
        status=status,
        status_detail="X",
        status_class="transient",
        provider_code=None,
        final=True,
        timestamp=NOW,
    )
    return recipient_key("acme", NUMBER), event


def rejected(number: int, reason: str) -> tuple[bytes, RejectedRecord]:
    return b"key", RejectedRecord(
        event_id=f"evt_{number}",
        stage="normalize",
        reason=reason,
        error="a sentence",
        account="acme",
        provider="infobip",
        source_topic="t",
        source_partition=0,
        source_offset=number,
        source_value=b"\xff",
        rejected_at=NOW + number,
    )


def state(failures: int, active: bool) -> tuple[bytes, ContactState]:
    return CONTACT.encode(), ContactState(
        contact=CONTACT,
        account="acme",
        list_number="+18005551234",
        phone_number=NUMBER,
        active=active,
        failures=failures,
        reason=None if active else "bad_response",
        since=1_705_314_600_000,
        last_event_id="evt_1",
    )


# Topics


def test_topics_apply_creates_what_is_missing_and_shows_what_differs(
    trackly: Trackly, bus_settings: BusSettings, environment: dict[str, str]
) -> None:
    names = [topic.name for topic in bus_settings.catalogue.values()]
    assert [(line["topic"], line["action"]) for line in lines_of(trackly("topics", "apply", "--json"))] == [
        (name, "created") for name in names
    ]
    environment["TRACKLY_PARTITIONS"] = "5"
    again = trackly("topics", "apply")
    assert again.returncode == 0
    assert f"{bus_settings.catalogue['raw'].name} " in again.stdout
    assert "partitions is 4, not 5" in again.stdout
    assert again.stdout.splitlines()[-1].startswith("0 created, ")


def test_topics_describe_shows_settings_and_offsets(trackly: Trackly, bus_settings: BusSettings, topics: None) -> None:
    write(bus_settings, "contacts", state(3, active=False))
    name = bus_settings.catalogue["contacts"].name
    (described,) = lines_of(trackly("topics", "describe", name.removeprefix(bus_settings.topic_prefix), "--json"))
    assert (described["name"], described["record"], described["replication"]) == (name, "ContactState", 1)
    assert described["settings"]["cleanup.policy"] == "compact"
    assert sorted(each["end"] - each["begin"] for each in described["offsets"]) == [0, 0, 0, 1]


def test_a_command_without_its_topics_says_how_to_create_them(trackly: Trackly) -> None:
    for arguments in (["streams"], ["export"]):
        done = trackly(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("There is no topic ")
        assert done.stderr.endswith("run `trackly topics apply`.\n")


# Accounts as code


def test_apply_without_yes_and_without_a_terminal_changes_nothing(
    trackly: Trackly, topics: None, accounts_file: str
) -> None:
    done = trackly("apply", accounts_file)
    assert done.returncode == 2
    assert "pass --yes" in done.stderr
    assert "create" in done.stdout
    assert "whsec_" not in done.stdout
    assert trackly("export").stdout.strip() == ""


def test_apply_writes_the_file_and_shows_a_generated_secret_once(
    trackly: Trackly, topics: None, accounts_file: str
) -> None:
    first = trackly("apply", accounts_file, "--yes")
    assert (first.returncode, first.stdout.count("whsec_")) == (0, 1)
    assert "secret of acme/new: whsec_" in first.stdout
    assert "t0p-s3cret" not in first.stdout + first.stderr
    again = trackly("apply", accounts_file)
    assert (again.returncode, again.stdout) == (0, "")
    assert "Nothing to change." in again.stderr


def test_a_check_writes_nothing_and_ends_with_3_where_something_is_not_as_the_file_says(
    trackly: Trackly, topics: None, accounts_file: str, tmp_path: Path
) -> None:
    drifted = trackly("apply", accounts_file, "--check")
    assert drifted.returncode == 3
    assert "whsec_" not in drifted.stdout
    assert trackly("export").stdout.strip() == ""
    trackly("apply", accounts_file, "--yes")
    same = trackly("apply", accounts_file, "--check", "--prune")
    assert (same.returncode, same.stdout) == (0, "")

    less = tmp_path / "less.toml"
    less.write_text('[[accounts]]\nid = "acme"\nname = "Acme Media"\n', "utf-8")
    without = trackly("apply", str(less), "--check", "--prune", "--json")
    deleted = [json.loads(line)["key"] for line in without.stdout.splitlines() if '"delete"' in line]
    assert (without.returncode, deleted) == (3, ["acme/+18005551234", "acme/crm", "acme/new"])
    assert trackly("apply", str(less), "--prune", "--yes").returncode == 0
    assert "endpoints" not in trackly("export").stdout
    assert trackly("apply", str(less), "--check", "--prune").returncode == 0


def test_an_export_can_be_applied_again(trackly: Trackly, topics: None, accounts_file: str, tmp_path: Path) -> None:
    trackly("apply", accounts_file, "--yes")
    exported = trackly("export")
    assert exported.returncode == 0
    assert "t0p-s3cret" not in exported.stdout
    assert "whsec_" not in exported.stdout
    copy = tmp_path / "copy.toml"
    copy.write_text(exported.stdout.replace("Acme Media", "Acme"), "utf-8")
    changed = trackly("apply", str(copy), "--yes", "--json")
    assert [json.loads(line) for line in changed.stdout.splitlines()] == [
        {"kind": "account", "key": "acme", "action": "update", "fields": ["name"]},
        {"kind": "list", "key": "acme/+18005551234", "action": "unchanged", "fields": []},
        {"kind": "endpoint", "key": "acme/crm", "action": "unchanged", "fields": []},
        {"kind": "endpoint", "key": "acme/new", "action": "unchanged", "fields": []},
    ]
    assert 'name = "Acme"' in trackly("export").stdout


def test_a_file_with_mistakes_changes_nothing_and_names_them(trackly: Trackly, topics: None, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(ACCOUNTS.replace('"+18005551234"', '"abc"').replace("name =", "nmae ="), "utf-8")
    done = trackly("apply", str(path), "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "accounts[0].nmae: is not a known setting; did you mean name?",
        'accounts[0].lists[0].number: "abc" is not a valid phone number; write it as +18005551234',
    ]
    assert trackly("export").stdout.strip() == ""


def test_endpoints_list_shows_endpoints_without_secrets(trackly: Trackly, topics: None, accounts_file: str) -> None:
    trackly("apply", accounts_file, "--yes")
    assert lines_of(trackly("endpoints", "list", "--account", "acme", "--json")) == [
        {
            "account": "acme",
            "id": name,
            "url": f"https://{name}.example.com/trackly",
            "secret": secret,
            "secret_next": None,
            "secret_next_at": None,
            "events": ["delivery", "unsubscribe", "reply"],
            "lists": [],
            "enabled": True,
            "state": "active",
            "paused_reason": None,
            "paused_at": None,
        }
        for name, secret in (("crm", "env:ACME_WEBHOOK_SECRET"), ("new", "***"))
    ]
    assert trackly("endpoints", "list", "--account", "other").returncode == 1


# tap


def test_opt_out_reads_a_text_by_the_words_of_an_account(trackly: Trackly, topics: None, accounts_file: str) -> None:
    trackly("apply", accounts_file, "--yes")
    assert trackly("opt-out", "genug!").stdout == "reply: changes nothing\n"
    assert "keyword  GENUG" in trackly("opt-out", "genug!", "--account", "acme").stdout
    unknown = trackly("opt-out", "genug!", "--account", "acm")
    assert (unknown.returncode, unknown.stderr) == (1, "There is no account 'acm'. Known are acme.\n")


def test_a_wrong_name_of_an_account_or_endpoint_does_not_read_like_good_news(
    trackly: Trackly, topics: None, accounts_file: str
) -> None:
    trackly("apply", accounts_file, "--yes")
    for command in (
        ("rejected", "list", "--account", "acm"),
        ("rejected", "retry", "--account", "acm", "--yes"),
        ("dead", "list", "--account", "acm"),
        ("keys", "list", "--account", "acm"),
        ("users", "add", "ann@example.com", "--account", "acm"),
        ("compare", "--from", "1d", "--account", "acm", "--no-topic"),
    ):
        done = trackly(*command)
        assert done.returncode == 1, command
        assert done.stderr.endswith("There is no account 'acm'. Known are acme.\n"), command
    done = trackly("dead", "list", "--endpoint", "acme/cmr")
    assert (done.returncode, "There is no endpoint 'acme/cmr'" in done.stderr) == (1, True)
    assert trackly("dead", "list", "--endpoint", "crm", "--account", "acme").returncode == 0


def test_tap_prints_records_as_json_lines(trackly: Trackly, bus_settings: BusSettings, topics: None) -> None:
    key, event = delivery(1, "delivered")
    write(bus_settings, "delivery", (key, event), (key, None), (key, b"junk"))
    name = bus_settings.catalogue["delivery"].name
    first, deleted, junk = lines_of(trackly("tap", name, "--from", "beginning", "--max", "3"))
    assert list(first) == ["topic", "partition", "offset", "timestamp", "key", "headers", "value"]
    assert (first["topic"], first["offset"], first["key"]) == (name, 0, f"acme:{NUMBER}")
    assert first["headers"]["ce_type"] == "trackly.DeliveryEvent"
    assert first["value"]["status"] == "delivered"
    assert first["value"]["timestamp"] == first["headers"]["ce_time"]
    assert deleted["value"] is None
    assert "error" not in deleted
    assert junk["value"] is None
    assert "error" in junk


def test_tap_shows_only_what_fits_and_ends_after_a_time_of_silence(
    trackly: Trackly, bus_settings: BusSettings, topics: None
) -> None:
    write(bus_settings, "delivery", *(delivery(n, "undeliverable" if n == 2 else "delivered") for n in range(4)))
    name = bus_settings.catalogue["delivery"].name.removeprefix(bus_settings.topic_prefix)
    options = ["--from", "beginning", "--timeout", "0.5"]
    found = lines_of(trackly("tap", name, *options, "--where", "status=undeliverable"))
    assert [line["value"]["event_id"] for line in found] == ["evt_2"]
    conditions = ["--where", "status=delivered", "--where", "message_id=m3"]
    found = lines_of(trackly("tap", name, *options, *conditions))
    assert [line["value"]["event_id"] for line in found] == ["evt_3"]


def test_tap_begins_at_an_offset_or_a_time(trackly: Trackly, bus_settings: BusSettings, topics: None) -> None:
    write(bus_settings, "delivery", *(delivery(n, "delivered") for n in range(4)))
    name = bus_settings.catalogue["delivery"].name

    def offsets(place: str) -> list[int]:
        return [line["offset"] for line in lines_of(trackly("tap", name, "--from", place, "--timeout", "0"))]

    assert offsets("2") == [2, 3]
    assert offsets("100") == []
    assert offsets("2024-01-15T10:30:00Z") == [0, 1, 2, 3]
    assert offsets("2999-01-01") == []


def test_tap_follows_until_it_is_interrupted(
    environment: dict[str, str], bus_settings: BusSettings, topics: None
) -> None:
    name = bus_settings.catalogue["delivery"].name
    write(bus_settings, "delivery", delivery(1, "delivered"))
    command = [sys.executable, "-m", "trackly", "tap", name, "--from", "beginning"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as tap:
        assert tap.stdout is not None
        assert json.loads(tap.stdout.readline())["value"]["event_id"] == "evt_1"
        write(bus_settings, "delivery", delivery(2, "delivered"))
        assert json.loads(tap.stdout.readline())["value"]["event_id"] == "evt_2"
        tap.send_signal(signal.SIGINT)
        assert tap.wait(PATIENCE) == 0


def test_tap_ends_quietly_when_nobody_reads_it(
    environment: dict[str, str], bus_settings: BusSettings, topics: None
) -> None:
    name = bus_settings.catalogue["delivery"].name
    write(bus_settings, "delivery", delivery(1, "delivered"))
    command = [sys.executable, "-m", "trackly", "tap", name, "--from", "beginning"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as tap:
        assert tap.stdout is not None
        assert tap.stderr is not None
        tap.stdout.readline()
        tap.stdout.close()
        assert (tap.wait(PATIENCE), tap.stderr.read()) == (0, "")


def test_tap_of_an_unknown_topic_names_close_ones(trackly: Trackly, topics: None) -> None:
    done = trackly("tap", "sms.contact")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Did you mean sms.contacts" in done.stderr


# Lists of records


def test_rejected_list_filters_and_shows_the_newest(trackly: Trackly, bus_settings: BusSettings, topics: None) -> None:
    reasons = ["not_json", "unknown_status", "not_json", "not_json"]
    write(bus_settings, "rejected", *(rejected(n, reason) for n, reason in enumerate(reasons)))
    found = trackly("rejected", "list", "--reason", "not_json", "--since", "1h", "--limit", "2", "--json")
    assert found.returncode == 0
    assert "The newest 2 of 3" in found.stderr
    shown = [json.loads(line) for line in found.stdout.splitlines()]
    assert [line["event_id"] for line in shown] == ["evt_2", "evt_3"]
    assert shown[0]["source_value"] == {"base64": "/w=="}
    assert shown[0]["rejected_at"].endswith("Z")
    table = trackly("rejected", "list", "--reason", "unknown_status").stdout.splitlines()
    assert len(table) == 2
    assert table[1].split()[-4:] == ["unknown_status", "a", "sentence", "t/0/1"]
    assert "nothing to list" in trackly("rejected", "list", "--account", "other").stderr


def test_dead_list_shows_webhooks_that_were_given_up(trackly: Trackly, bus_settings: BusSettings, topics: None) -> None:
    def dead(endpoint: str) -> tuple[bytes, DeadWebhook]:
        return endpoint.encode(), DeadWebhook(
            endpoint=endpoint,
            event_id="evt_1",
            event="delivery",
            body=b'{"event":"delivery"}',
            attempts=6,
            last_status=None,
            error_class="timeout",
            first_attempt_at=NOW - 1000,
            died_at=NOW,
            origin="t/0/1",
        )

    write(bus_settings, "webhooks_dead", dead("acme/crm"), dead("acme/new"))
    (found,) = lines_of(trackly("dead", "list", "--endpoint", "acme/crm", "--json"))
    assert (found["endpoint"], found["attempts"], found["last_status"]) == ("acme/crm", 6, None)
    assert found["body"] == '{"event":"delivery"}'
    listed = trackly("dead", "list", "--endpoint", "new")
    assert "timeout" in listed.stdout
    # There is no database here.
    assert "delivered_at" not in found
    assert "What replays have delivered since is unknown" in listed.stderr
    assert listed.returncode == 0


def test_dead_replay_to_an_endpoint_that_does_not_exist_names_those_that_do(
    trackly: Trackly, topics: None, accounts_file: str
) -> None:
    trackly("apply", accounts_file, "--yes")
    done = trackly("dead", "replay", "--endpoint", "acme/nobody", "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no endpoint 'acme/nobody'" in done.stderr


# Contacts


def test_contact_show_gives_the_newest_state(
    trackly: Trackly, bus_settings: BusSettings, topics: None, accounts_file: str
) -> None:
    trackly("apply", accounts_file, "--yes")
    write(bus_settings, "contacts", state(2, active=True), state(3, active=False))
    (found,) = lines_of(trackly("contact", "show", "acme", "18005551234", "+1 800 555 0123", "--json"))
    assert found == {
        "contact": CONTACT,
        "account": "acme",
        "list_number": "+18005551234",
        "phone_number": NUMBER,
        "active": False,
        "failures": 3,
        "reason": "bad_response",
        "since": "2024-01-15T10:30:00.000Z",
        "last_event_id": "evt_1",
        "version": 0,
        "scope": "list",
        "except_lists": [],
        "known_as": None,
        "held": False,
        "code": None,
        "may_be_texted": False,
        "not_before": None,
        "until": None,
        "time_zones": [],
        "rule": None,
    }
    shown = trackly("contact", "show", "acme", "+18005551234", NUMBER)
    assert "removed: do not text" in shown.stdout
    assert "bad_response" in shown.stdout


def test_a_contact_without_a_record_is_active(
    trackly: Trackly, bus_settings: BusSettings, topics: None, accounts_file: str
) -> None:
    trackly("apply", accounts_file, "--yes")
    write(bus_settings, "contacts", state(3, active=False), (CONTACT.encode(), None))
    shown = trackly("contact", "show", "acme", "+18005551234", NUMBER)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "active" in shown.stdout
    assert "nothing is recorded against it" in shown.stdout


@pytest.mark.parametrize(
    ("account", "list_number", "warning"),
    [
        ("other", "+18005551234", "Warning: There is no account 'other'"),
        ("acme", "+18005550000", "Warning: Account acme has no list +18005550000; its lists: +18005551234"),
    ],
)
def test_contact_show_warns_of_an_unknown_account_or_list(
    trackly: Trackly, topics: None, accounts_file: str, account: str, list_number: str, warning: str
) -> None:
    applied = trackly("apply", accounts_file, "--yes")
    assert applied.returncode == 0, applied.stderr
    shown = trackly("contact", "show", account, list_number, NUMBER)
    assert shown.returncode == 0
    assert warning in shown.stderr
    assert "active" in shown.stdout
    assert "may be texted" not in shown.stdout
    found = json.loads(trackly("contact", "show", account, list_number, NUMBER, "--json").stdout)
    assert (found["may_be_texted"], found["code"]) == (False, "unknown_list")
