"""Reports records that retention deleted before they were read, by what the audit log says of the last 30 days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from bus.clock import now_ms
from bus.losses import Loss, loss_of
from bus.reading.topic import Start
from bus.settings import BusSettings
from schemas.cloudevents import iso_time
from schemas.codec import Codec, CodecError
from schemas.records import AuditEntry
from schemas.registry import registry_for
from schemas.topics import Catalogue
from trackly.commands.doctor.findings import Finding
from trackly.reading import open_topic

REMEMBERED_MS = 30 * 86_400_000
"""How long a loss is reported."""

OPT_OUTS = (
    "There may be opt-outs among them: import the providers' lists of opt-outs (`trackly contact import`), before"
    " anybody is texted. Ask providers to send the callbacks again."
)

REMEDIES = {
    "raw": OPT_OUTS,
    "receipts": OPT_OUTS,
    "inbound": OPT_OUTS,
    "commands": "Issue the operators' commands of this time again: the audit log lists them, removals first.",
    "messages": "Senders may register the messages again: until then, their reports have the provider's IDs.",
}
"""What to do, by topic (short name)."""

NEVER_SENT = "Tell the customers: these webhooks were not sent. `trackly replay` sends events that Kafka still has."


async def losses(settings: BusSettings) -> list[tuple[Loss, int]]:
    """Return the losses of the last 30 days, each once, and when (ms) each was noticed.

    Raises trackly.errors.Failed, aiokafka.errors.KafkaError.
    """
    codec = Codec(registry_for(settings.schema_registry_url))
    found: dict[Loss, int] = {}
    async with open_topic(settings, settings.catalogue["audit"].name, Start(millis=now_ms() - REMEMBERED_MS)) as audit:
        async for record in audit.rest():
            try:
                entry = codec.decode(record.value)
            except CodecError:
                continue
            if isinstance(entry, AuditEntry) and (loss := loss_of(entry)) is not None:
                found.setdefault(loss, entry.at)
    return list(found.items())


def told(found: list[tuple[Loss, int]], catalogue: Catalogue) -> Iterator[Finding]:
    """Report losses, a finding for each topic and reader."""
    by_topic: defaultdict[tuple[str, str], list[tuple[Loss, int]]] = defaultdict(list)
    for loss, at in found:
        by_topic[loss.topic, loss.reader].append((loss, at))
    for (name, reader), each in by_topic.items():
        count, first = sum(loss.count for loss, _ in each), min(at for _, at in each)
        most = "up to " if any(loss.uncertain for loss, _ in each) else ""
        topic = catalogue.named(name)
        remedy = REMEDIES.get(topic.id, NEVER_SENT) if topic is not None else ""
        yield Finding(
            "losses", "retention", "warning",
            f"{most}{count:,} records of {name} were deleted by retention before {reader} read them; noticed at"
            f" {iso_time(first)}",
            f"{remedy} Keep the topic longer (TRACKLY_TOPIC_SETTINGS).",
        )  # fmt: skip
