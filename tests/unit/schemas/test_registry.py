"""A registry over HTTP: our schemas are registered there, and its ids are written."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from schemas.codec import Codec, schema_id_of
from schemas.folder_registry import FOLDER_IDS, FolderRegistry, RegistryError
from schemas.http_registry import HttpRegistry
from schemas.records import WebhookTask
from schemas.registry import registry_for
from trackly.cli import app

TASK = WebhookTask("acme/crm", "evt_1", "delivery", b"{}")


class FakeRegistry(BaseHTTPRequestHandler):
    """The calls of Confluent's Schema Registry that writing, reading and publishing need."""

    schemas: ClassVar[dict[int, str]] = {}
    subjects: ClassVar[list[str]] = []
    levels: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        subject = self.path.split("/")[2]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if subject == "trackly.Receipt":
            self._answer(409, {"error_code": 409, "message": "incompatible"})
            return
        self.subjects.append(subject)
        self.schemas[4_711] = body["schema"]
        self._answer(200, {"id": 4_711})

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.levels[self.path.removeprefix("/config/")] = body["compatibility"]
        self._answer(200, body)

    def do_GET(self) -> None:
        schema = self.schemas.get(int(self.path.rsplit("/", 1)[1]))
        if schema is None:
            self._answer(404, {"error_code": 40403, "message": "Schema not found"})
        else:
            self._answer(200, {"schema": schema})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    FakeRegistry.subjects.clear()
    FakeRegistry.levels.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeRegistry)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_records_carry_the_id_that_the_registry_gave(url: str) -> None:
    encoded = Codec(HttpRegistry(url)).encode(TASK)
    assert schema_id_of(encoded) == 4_711
    assert FakeRegistry.subjects == ["trackly.WebhookTask"]


def test_a_reader_asks_the_registry_for_the_schema(url: str) -> None:
    encoded = Codec(HttpRegistry(url)).encode(TASK)
    assert Codec(HttpRegistry(url)).decode(encoded) == TASK


def test_records_from_before_the_registry_was_configured_are_read(url: str) -> None:
    encoded = Codec(FolderRegistry()).encode(TASK)
    assert schema_id_of(encoded) > FOLDER_IDS
    assert Codec(HttpRegistry(url)).decode(encoded) == TASK


def test_publishing_registers_every_version_in_order_and_how_it_may_change(url: str) -> None:
    ids = HttpRegistry(url).publish("prod.sms.webhooks.due-value", "WebhookTask", "BACKWARD_TRANSITIVE")
    versions = FolderRegistry().versions["WebhookTask"]
    assert len(ids) == len(versions) > 1
    assert FakeRegistry.subjects == ["prod.sms.webhooks.due-value"] * len(versions)
    assert FakeRegistry.levels == {"prod.sms.webhooks.due-value": "BACKWARD_TRANSITIVE"}


def test_an_error_does_not_show_the_registry_s_password() -> None:
    with pytest.raises(RegistryError) as error:
        HttpRegistry("http://user:s3cret@127.0.0.1:1").id_of("Receipt")
    assert "s3cret" not in str(error.value)


def test_what_the_registry_refuses_is_said_with_its_reason(url: str) -> None:
    with pytest.raises(RegistryError, match=r"trackly\.Receipt.*409.*incompatible"):
        HttpRegistry(url).id_of("Receipt")


def test_a_registry_that_is_not_there_is_said_with_the_remedy() -> None:
    with pytest.raises(RegistryError, match="Check SCHEMA_REGISTRY_URL"):
        HttpRegistry("http://127.0.0.1:1").id_of("Receipt")


def test_without_a_url_the_folder_is_the_registry() -> None:
    assert isinstance(registry_for(None), FolderRegistry)
    assert isinstance(registry_for("http://registry"), HttpRegistry)


def test_the_command_publishes_topics_and_records_and_tells_what_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", url)
    monkeypatch.setenv("TRACKLY_TOPIC_PREFIX", "prod.")
    done = CliRunner().invoke(app, ["schemas", "publish", "--json"])
    published = [json.loads(line)["subject"] for line in done.stdout.splitlines()]
    assert {"prod.sms.events.delivery-value", "trackly.DeliveryEvent"} <= set(published)
    assert FakeRegistry.levels["prod.sms.events.delivery-value"] == "FULL_TRANSITIVE"
    assert (done.exit_code, "trackly.Receipt" in done.stderr, "incompatible" in done.stderr) == (1, True, True)


def test_the_command_needs_a_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCHEMA_REGISTRY_URL", raising=False)
    done = CliRunner().invoke(app, ["schemas", "publish"])
    assert (done.exit_code, "SCHEMA_REGISTRY_URL is not set" in done.stderr) == (1, True)
