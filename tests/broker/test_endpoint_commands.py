"""Endpoint commands: state, pauses, rotation of secrets; and what Kafka contains of a secret."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from accounts.secrets import SEALED, KeyRing, new_key
from bus.settings import BusSettings
from schemas.records import EndpointConfig, WebhookTask
from tests.cluster import CODEC, Cluster
from tests.commands import Trackly, lines_of, write

pytestmark = pytest.mark.broker

ACCOUNTS = """
[[accounts]]
id = "acme"
[accounts.providers.twilio]
auth_token = "t0p-s3cret"
[[accounts.endpoints]]
id = "crm"
url = "https://crm.example.com/trackly"
"""


@pytest.fixture
def accounts(trackly: Trackly, topics: None, tmp_path: Path) -> str:
    """The path of the file that was applied."""
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNTS, "utf-8")
    assert trackly("apply", str(path), "--yes").returncode == 0
    return str(path)


def stored(settings: BusSettings, tmp_path: Path) -> EndpointConfig:
    """Return the endpoint as stored on Kafka."""
    [*_, newest] = Cluster(settings, tmp_path).records("config_endpoints")
    assert isinstance(newest, EndpointConfig)
    return newest


def only(trackly: Trackly, *arguments: str) -> dict[str, Any]:
    done = trackly(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    [line] = [json.loads(line) for line in done.stdout.splitlines()]
    return dict(line)


# Pauses


def test_a_pause_is_kept_with_its_reason_until_the_endpoint_is_resumed(trackly: Trackly, accounts: str) -> None:
    paused = only(trackly, "endpoints", "pause", "acme/crm")
    assert (paused["state"], paused["paused_reason"]) == ("paused", "operator")
    [listed] = lines_of(trackly("endpoints", "list", "--json"))
    assert listed == paused
    assert "paused (operator) since " in trackly("endpoints", "list").stdout
    assert only(trackly, "endpoints", "pause", "acme/crm") == paused
    resumed = only(trackly, "endpoints", "resume", "acme/crm")
    assert (resumed["state"], resumed["paused_reason"], resumed["paused_at"]) == ("active", None, None)


def test_resume_tells_how_many_webhooks_wait(trackly: Trackly, accounts: str, bus_settings: BusSettings) -> None:
    task = WebhookTask("acme/crm", "evt_1", "delivery", b"{}")
    write(bus_settings, "webhooks_retry.2h", (b"acme/crm", task), (b"acme/crm", task), (b"other/crm", task))
    write(bus_settings, "webhooks_retry.1m", (b"acme/crm", task))
    assert only(trackly, "endpoints", "resume", "acme/crm")["waiting"] == 3


def test_an_apply_leaves_a_pause_alone(trackly: Trackly, accounts: str) -> None:
    trackly("endpoints", "pause", "acme/crm")
    assert "Nothing to change." in trackly("apply", accounts).stderr


def test_an_unknown_endpoint_is_told_with_those_there_are(trackly: Trackly, accounts: str) -> None:
    for command in ("pause", "resume", "rotate-secret", "activate-secret"):
        done = trackly("endpoints", command, "acme/cmr")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "There is no endpoint 'acme/cmr'; name it as account/endpoint. There are: acme/crm.\n"


# Tests


class Receiver(BaseHTTPRequestHandler):
    """Answers as its server says, and keeps requests."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.append((dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Assert that nothing is printed."""


@pytest.mark.parametrize(("status", "exit_code", "plain_by"), [(204, 0, "setting"), (500, 1, "account")])
def test_a_test_event_is_signed_sent_and_told(
    trackly: Trackly,
    topics: None,
    environment: dict[str, str],
    tmp_path: Path,
    status: int,
    exit_code: int,
    plain_by: str,
) -> None:
    environment |= {"TRACKLY_ALLOW_HTTP": str(plain_by == "setting"), "TRACKLY_ALLOW_SUBNETS": "127.0.0.0/8"}
    own = f"allow_http = {str(plain_by == 'account').lower()}"
    accounts = ACCOUNTS.replace('id = "acme"', f'id = "acme"\n{own}')
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.status, server.came = status, []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}/hook"
        path = tmp_path / "accounts.toml"
        path.write_text(accounts.replace("https://crm.example.com/trackly", url), "utf-8")
        applied = trackly("apply", str(path), "--yes")
        done = trackly("endpoints", "test", "acme/crm", "--event", "reply", "--json")
        server.shutdown()
    assert done.returncode == exit_code
    [(headers, body)] = server.came  # type: ignore[attr-defined]
    assert headers["webhook-id"].startswith("evt_test_")
    secret = applied.stdout.split("secret of acme/crm: ")[1].strip()
    Webhook(secret).verify(body, headers, json_parse=False)
    told = json.loads(done.stdout)
    assert (told["status"], told["url"], told["body"]) == (status, url, body.decode())
    assert told["headers"].items() <= headers.items()
    assert secret not in done.stdout + done.stderr


def test_a_test_event_goes_nowhere_that_sinks_would_not_send_to(trackly: Trackly, topics: None, tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNTS.replace("crm.example.com", "169.254.169.254"), "utf-8")
    trackly("apply", str(path), "--yes")
    done = trackly("endpoints", "test", "acme/crm")
    assert done.returncode == 1
    assert "no answer: refused_address" in done.stdout
    assert "its address is cloud metadata" in done.stderr
    assert "judged by its own TRACKLY_ALLOW_HTTP" in done.stderr


def test_attempts_of_an_endpoint_nobody_has_tried(trackly: Trackly, accounts: str) -> None:
    done = trackly("endpoints", "attempts", "acme/crm", "--since", "1h", "--failed")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "There is nothing to list.\n")


# Secrets


def test_a_rotation_shows_the_new_secret_once_and_stores_it_sealed(
    trackly: Trackly, accounts: str, bus_settings: BusSettings, environment: dict[str, str], tmp_path: Path
) -> None:
    before = stored(bus_settings, tmp_path)
    rotated = only(trackly, "endpoints", "rotate-secret", "acme/crm", "--overlap", "2h")
    ends = datetime.fromisoformat(rotated["secret_next_at"])
    assert 7_000 < (ends - datetime.now(ends.tzinfo)).total_seconds() <= 7_200
    after = stored(bus_settings, tmp_path)
    assert after.secret == before.secret
    assert after.secret_next is not None
    assert after.secret_next.startswith(SEALED)
    ring = KeyRing((environment["TRACKLY_SECRET_KEYS"],))
    assert ring.open(after.secret_next) == rotated["secret_new"]
    assert "whsec_" not in trackly("endpoints", "list", "--json").stdout
    again = trackly("endpoints", "rotate-secret", "acme/crm")
    assert (again.returncode, again.stdout) == (1, "")
    assert "A rotation is in progress" in again.stderr


def test_activating_a_secret_ends_the_rotation(
    trackly: Trackly, accounts: str, bus_settings: BusSettings, tmp_path: Path
) -> None:
    assert trackly("endpoints", "activate-secret", "acme/crm").returncode == 1
    only(trackly, "endpoints", "rotate-secret", "acme/crm", "--secret", "env:CRM_NEXT")
    only(trackly, "endpoints", "activate-secret", "acme/crm")
    after = stored(bus_settings, tmp_path)
    assert (after.secret, after.secret_next, after.secret_next_at) == ("env:CRM_NEXT", None, None)


def test_a_rotation_without_overlap_replaces_the_secret_at_once(
    trackly: Trackly, accounts: str, bus_settings: BusSettings, tmp_path: Path
) -> None:
    before = stored(bus_settings, tmp_path)
    only(trackly, "endpoints", "rotate-secret", "acme/crm", "--overlap", "0s")
    after = stored(bus_settings, tmp_path)
    assert after.secret_next is None
    assert after.secret != before.secret


def test_no_record_holds_a_secret_in_plain_text(
    trackly: Trackly, accounts: str, bus_settings: BusSettings, tmp_path: Path
) -> None:
    trackly("endpoints", "rotate-secret", "acme/crm")
    cluster = Cluster(bus_settings, tmp_path)
    held = b"".join(
        CODEC.encode(r) for topic in ("config_accounts", "config_endpoints") for r in cluster.records(topic)
    )
    assert SEALED.encode() in held
    assert b"t0p-s3cret" not in held
    assert b"whsec_" not in held


def test_without_a_key_a_secret_in_plain_text_is_refused_unless_it_is_allowed(
    trackly: Trackly, topics: None, environment: dict[str, str], tmp_path: Path
) -> None:
    del environment["TRACKLY_SECRET_KEYS"]
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNTS, "utf-8")
    refused = trackly("apply", str(path), "--yes")
    assert refused.returncode == 1
    assert "trackly secrets new-key" in refused.stderr
    assert trackly("export").stdout.strip() == ""
    allowed = trackly("apply", str(path), "--yes", "--plain-secrets")
    assert (allowed.returncode, allowed.stdout.count("whsec_")) == (0, 1)
    assert "WARNING: secrets of acme, acme/crm will be stored on Kafka in plain text" in allowed.stderr
    # References need no key.
    done = trackly("endpoints", "rotate-secret", "acme/crm", "--secret", "env:CRM")
    assert done.returncode == 0, done.stderr


def test_rewrap_seals_what_is_plain_and_moves_the_rest_to_the_newest_key(
    trackly: Trackly, topics: None, environment: dict[str, str], bus_settings: BusSettings, tmp_path: Path
) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNTS.replace("url =", 'secret = "s3cret-of-the-tests"\nurl ='), "utf-8")
    old = environment.pop("TRACKLY_SECRET_KEYS")
    trackly("apply", str(path), "--yes", "--plain-secrets")
    assert stored(bus_settings, tmp_path).secret == "s3cret-of-the-tests"
    assert trackly("secrets", "rewrap").returncode == 1
    environment["TRACKLY_SECRET_KEYS"] = old
    assert [
        line["was_plain"] for line in map(json.loads, trackly("secrets", "rewrap", "--json").stdout.splitlines())
    ] == [
        True,
        True,
    ]
    new = new_key()
    environment["TRACKLY_SECRET_KEYS"] = new
    assert "is encrypted with a key that is missing from TRACKLY_SECRET_KEYS" in trackly("secrets", "rewrap").stderr
    environment["TRACKLY_SECRET_KEYS"] = f"{new},{old}"
    assert len(trackly("secrets", "rewrap").stdout.splitlines()) == 2
    assert KeyRing((new,)).open(stored(bus_settings, tmp_path).secret) == "s3cret-of-the-tests"
    assert trackly("secrets", "rewrap").stdout == ""
