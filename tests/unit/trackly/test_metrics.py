"""Every service exports exactly the metrics in the list."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bus.health import Health
from bus.metrics import METRICS
from bus.vitals import Vitals
from console.app import Console
from console.app import create_app as console_app
from console.settings import ConsoleSettings
from ingest.app import Ingest
from ingest.settings import IngestSettings
from schemas.pseudonyms import Pseudonyms
from sinks.app import create_app as sinks
from sinks.settings import SinksSettings
from streams.app import create_app as streams
from streams.settings import StreamsSettings
from trackly.commands.mirror.command import Mirror
from trackly.commands.mirror.settings import MirrorSettings
from trackly.commands.read_model import export


def read_model() -> Health:
    health = Health("read_model")
    model: Any = SimpleNamespace(health=None, read=SimpleNamespace(total=None), passed_over=SimpleNamespace(total=None))
    export(health, model)
    Vitals(health)
    return health


def health_of(service: str, directory: Path) -> Health:
    bus: dict[str, Any] = {"data_dir": directory, "bootstrap_servers": "localhost:1"}
    match service:
        case "ingest":
            return Ingest(IngestSettings(**bus)).health
        case "streams":
            return streams(StreamsSettings(**bus)).health
        case "sinks":
            return sinks(SinksSettings(**bus)).health
        case "console":
            made = Console(ConsoleSettings(**bus))
            console_app(made.parts, made.keys.view, made.health).build_middleware_stack()
            return made.health
        case "mirror":
            return Mirror(MirrorSettings(**bus), {}, Pseudonyms("of a test of metrics")).health
        case _:
            return read_model()


def names_in(registry: CollectorRegistry) -> set[str]:
    return {names[0] for names in registry._collector_to_names.values() if names}


@pytest.mark.parametrize("service", ["ingest", "streams", "sinks", "console", "mirror", "read_model"])
async def test_a_service_exports_what_the_list_says(service: str, tmp_path: Path) -> None:
    wanted = {metric.name for metric in METRICS.values() if service in metric.services}
    found = names_in(health_of(service, tmp_path).registry)
    assert {name for name in found if name.startswith("trackly_")} == wanted
