"""Reports records that retention deleted before they were read: losses that streams would have learned opt-outs from,
until they are settled, and others for 30 days, by the audit log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bus.admin import Admin
from bus.clock import now_ms
from bus.losses import EVERY_ACCOUNT, OPT_OUTS, Loss, id_of, loss_of, opt_outs_in
from bus.reading.topic import Start
from bus.settings import BusSettings
from operations.losses import KnownLosses, unread
from schemas.cloudevents import iso_time
from schemas.codec import Codec, CodecError
from schemas.records import OF_NOBODY, AuditEntry, RecordsLost
from schemas.registry import registry_for
from trackly.commands.doctor.findings import Finding, Level
from trackly.reading import open_topic, read_losses

REMEMBERED_MS = 30 * 86_400_000
"""How long a loss is reported that nobody has to settle."""

IMPORT = (
    "There may be opt-outs among them: import the providers' lists of opt-outs (`trackly contacts import`), before"
    " anybody is texted. Ask providers to send the callbacks again."
)

CLICKS = "Clicks or conversions are missing: ask whoever reports them to send them again."

REMEDIES = {
    "raw": IMPORT,
    "receipts": IMPORT,
    "inbound": IMPORT,
    "commands": "Issue the operators' commands of this time again: the audit log lists them, removals first. " + IMPORT,
    "messages": "Senders may register the messages again: until then, their reports have the provider's IDs. " + IMPORT,
    "clicks": CLICKS,
    "links": CLICKS,
    "postbacks": CLICKS,
}
"""What to do about what streams has not read, by topic (short name)."""

SETTLE = "Then run `trackly losses settle`: until then, `check` lets nobody be texted whom the loss may concern."

START = "Start streams, which records the loss; `trackly doctor` then says what to do. Until then, `check` answers 503."

NEVER_COPIED = "The topics *.anon lack them: tell those who read these topics."

NEVER_SENT = "Tell the customers: these webhooks were not sent. `trackly replay` sends events that Kafka still has."


async def losses(settings: BusSettings) -> list[Finding]:
    """Return findings about losses. Raises trackly.errors.Failed, aiokafka.errors.KafkaError."""
    codec = Codec(registry_for(settings.schema_registry_url))
    with Admin(settings) as admin:
        group = settings.group("streams")
        committed = admin.group_offsets(group)
        names = [settings.catalogue[topic].name for topic in OPT_OUTS]
        gaps = unread(settings.catalogue, group, committed, admin.logs(names)).values()
    # Last: what streams has moved past by now has been recorded before.
    known = await read_losses(settings, codec)
    found: dict[Loss, int] = {}
    async with open_topic(settings, settings.catalogue["audit"].name, Start(millis=now_ms() - REMEMBERED_MS)) as audit:
        async for record in audit.rest():
            try:
                entry = codec.decode(record.value)
            except CodecError:
                continue
            if isinstance(entry, AuditEntry) and (loss := loss_of(entry)) is not None:
                found.setdefault(loss, entry.at)
    return [*told(open_losses(known, found, settings), settings), *unrecorded(gaps)]


class Noticed(NamedTuple):
    """A loss, when it was noticed (ms), and whose opt-outs may be among it."""

    loss: Loss
    at: int
    opt_outs: str


def open_losses(known: KnownLosses, audited: dict[Loss, int], settings: BusSettings) -> list[Noticed]:
    """Return the losses to report: those that must be settled, and those of the audit log that are not."""
    found = {
        loss: Noticed(loss, at, opt_outs_in(loss.topic, loss.reader, settings))
        for loss, at in audited.items()
        if EVERY_ACCOUNT not in known.settled.get(id_of(loss), ())
    }
    for record in known.open():
        if record.opt_outs != OF_NOBODY:
            loss = Loss(
                record.reader, record.topic, record.partition, record.first, record.count, uncertain=record.uncertain
            )
            found[loss] = Noticed(loss, record.noticed_at, record.opt_outs)
    return list(found.values())


def told(found: Iterable[Noticed], settings: BusSettings) -> Iterator[Finding]:
    """Report losses, a finding for each topic and reader."""
    by_topic: defaultdict[tuple[str, str], list[Noticed]] = defaultdict(list)
    for noticed in found:
        by_topic[noticed.loss.topic, noticed.loss.reader].append(noticed)
    for (name, reader), each in by_topic.items():
        first, count = min(noticed.at for noticed in each), _counted(noticed.loss for noticed in each)
        remedy, level = _remedy(name, reader, any(noticed.opt_outs != OF_NOBODY for noticed in each), settings)
        yield Finding(
            "losses", "retention", level,
            f"{count} of {name} were deleted by retention before {reader} read them; noticed at {iso_time(first)}",
            f"{remedy} Keep the topic longer (TRACKLY_TOPIC_SETTINGS).",
        )  # fmt: skip


def unrecorded(gaps: Iterable[RecordsLost]) -> Iterator[Finding]:
    """Report what retention has deleted before streams came to it, a finding for each topic."""
    by_topic: defaultdict[str, list[RecordsLost]] = defaultdict(list)
    for gap in gaps:
        by_topic[gap.topic].append(gap)
    for name, each in by_topic.items():
        yield Finding(
            "losses", "not_recorded", "error",
            f"{_counted(each)} of {name} are deleted by retention, and {each[0].reader} has not read them", START,
        )  # fmt: skip


def _counted(losses: Iterable[Loss | RecordsLost]) -> str:
    found = list(losses)
    most = "up to " if any(loss.uncertain for loss in found) else ""
    return f"{most}{sum(loss.count for loss in found):,} records"


def _remedy(name: str, reader: str, has_opt_outs: bool, settings: BusSettings) -> tuple[str, Level]:
    topic = settings.catalogue.named(name)
    if has_opt_outs:
        # A topic under an earlier prefix is not in the catalogue.
        return f"{REMEDIES.get('' if topic is None else topic.id, IMPORT)} {SETTLE}", "error"
    if reader == settings.group("mirror"):
        return NEVER_COPIED, "warning"
    if reader != settings.group("streams"):
        return NEVER_SENT, "warning"
    return REMEDIES.get("" if topic is None else topic.id, ""), "warning"
