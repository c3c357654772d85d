"""`trackly ingest`: the service in the foreground."""

from __future__ import annotations

from trackly.http import run_http
from trackly.importing import importing
from trackly.starting import prepare


def ingest() -> None:
    """Receive provider callbacks over HTTP and write them to Kafka, until Ctrl-C or SIGTERM."""
    with importing():
        from ingest.app import server
        from ingest.settings import IngestSettings

    run_http("ingest", server(prepare("ingest", IngestSettings)))
