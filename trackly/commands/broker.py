"""`trackly broker`: an Apache Kafka for development, in the foreground."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Annotated

import typer

from bus.admin import Admin
from bus.settings import BusSettings
from bus.up_files import ADDRESSES
from trackly.errors import Failed
from trackly.output import say, show


def broker(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65_535, help="Port to listen on; by default the last one used, or a free one."),
    ] = None,
) -> None:
    """Run an Apache Kafka for development on this machine, until Ctrl-C or SIGTERM.

    It keeps its records in TRACKLY_DATA_DIR, and commands with the same TRACKLY_DATA_DIR find it there. It has no
    password: every user of this machine can read and write its topics.
    """
    from bus.embedded.broker import EmbeddedKafka
    from bus.private import keep_private

    settings = BusSettings()
    keep_private(settings.data_dir)
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        say("KAFKA_BOOTSTRAP_SERVERS is set: other commands use that broker, not this one.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kafka = EmbeddedKafka(settings.data_dir / "kafka", port)
    addresses = settings.data_dir / ADDRESSES
    servers = kafka.start(progress=say)
    try:
        known = {"bootstrap_servers": servers}
        partitions = partitions_of(settings.model_copy(update={"bootstrap_servers": servers}))
        if partitions is not None:
            known["partitions"] = str(partitions)
        addresses.write_text(json.dumps(known) + "\n", "utf-8")
        show(servers)
        while kafka.is_alive():
            time.sleep(0.5)
        raise Failed(f"the broker died; {kafka.log_path} says why.")
    except KeyboardInterrupt:
        say("stopping")
    finally:
        addresses.unlink(missing_ok=True)
        kafka.stop()


def partitions_of(settings: BusSettings) -> int | None:
    """Return how many partitions the recipients' topics have, which `trackly up` may have created; None without them.

    Commands that find the broker without settings then need no TRACKLY_PARTITIONS either.
    """
    name = settings.catalogue["receipts"].name
    with Admin(settings) as admin:
        found = admin.describe([name]).get(name)
    return None if found is None else found.partitions
