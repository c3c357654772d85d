"""200,000 reports over 20,000 contacts, shuffled, some of them twice, while workers are killed: every count is exact.

Where CI is not set, a third of them. TRACKLY_TEST_REPORTS sets another number; there is a contact for each ten.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from bus.admin import Admin
from bus.settings import BusSettings
from schemas.records import AccountConfig, ContactState, DeliveryEvent, ListConfig
from tests.cluster import Cluster
from tests.examples import examples
from tests.patience import PATIENCE, Progress

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(1_800)]

REPORTS = int(os.environ.get("TRACKLY_TEST_REPORTS", examples(200_000)))
PATIENT, STRICT = "+18005550001", "+18005550002"
THRESHOLDS = {PATIENT: 1_000, STRICT: 3}
A_CALLBACK = 2_000
"""Reports in one callback: the most that Infobip sends."""

DELIVERED, ABSENT, SYSTEM_ERROR, SPAM, INVALID = (
    "DELIVERED_TO_HANDSET",
    "REJECTED_ABSENT_SUBSCRIBER",
    "REJECTED_SYSTEM_ERROR",
    "REJECTED_SPAM",
    "REJECTED_DESTINATION",
)
GROUPS = {DELIVERED: 3, ABSENT: 2, SYSTEM_ERROR: 5, SPAM: 5, INVALID: 5}
REASONS = {SPAM: "complaint", INVALID: "invalid_contact"}


class Report(NamedTuple):
    """One report of one message, by the second of its day."""

    contact: str
    message: int
    name: str

    def item(self) -> dict[str, Any]:
        """Return it as posted by Infobip."""
        _, sender, number = self.contact.split(":")
        day, second = divmod(self.message, 86_400)
        hour, minute = second // 3600, second // 60 % 60
        return {
            "messageId": f"m{self.message}",
            "to": number.lstrip("+"),
            "sender": sender.lstrip("+"),
            "status": {"groupId": GROUPS[self.name], "name": self.name},
            "doneAt": f"2026-11-{day + 1:02d}T{hour:02d}:{minute:02d}:{second % 60:02d}.000+0000",
        }


def histories(randomly: random.Random) -> Iterator[Report]:
    """Nine reports of each contact. On the strict list, no run of failures may depend on the order of reading: a
    contact there always fails, or too rarely.
    """
    contacts = [f"acme:{of}:+1555{n:07d}" for n in range(REPORTS // 20) for of in (PATIENT, STRICT)]
    message = 0
    for contact in contacts:
        always = f":{STRICT}:" in contact and randomly.random() < 0.2
        names = [ABSENT if always or randomly.random() < 0.4 else DELIVERED for _ in range(9)]
        if f":{STRICT}:" in contact and not always:
            names = [DELIVERED, ABSENT, SYSTEM_ERROR, DELIVERED, DELIVERED, DELIVERED, DELIVERED, DELIVERED, ABSENT]
            randomly.shuffle(names)
        if randomly.random() < 0.02:
            names[randomly.randrange(9)] = randomly.choice([SPAM, INVALID])
        for name in names:
            yield Report(contact, message, name)
            message += 1


def model(reports: list[Report]) -> dict[str, tuple[bool, str | None, int]]:
    """Return for each contact: active, reason, failures in a row."""
    by_contact: dict[str, list[Report]] = defaultdict(list)
    for report in reports:
        by_contact[report.contact].append(report)
    states = {}
    for contact, history in by_contact.items():
        latest_first = [r.name for r in sorted(history, key=lambda r: r.message, reverse=True)]
        failures = list(takewhile(lambda name: name != DELIVERED, latest_first)).count(ABSENT)
        removed = [REASONS[name] for name in latest_first if name in REASONS]
        too_often = latest_first.count(ABSENT) >= THRESHOLDS[contact.split(":")[1]]
        reason = removed[0] if removed else "bad_response" if too_often else None
        states[contact] = reason is None, reason, failures
    return states


async def test_every_final_state_is_exact(bus_settings: BusSettings, tmp_path: Path) -> None:
    randomly = random.Random(20261120)
    reports = list(histories(randomly))
    posted = [*reports, *randomly.sample(reports, REPORTS - len(reports))]
    randomly.shuffle(posted)
    with Cluster(bus_settings, tmp_path) as cluster:
        lists = [
            ListConfig(account="acme", number=n, retry_threshold=t, brake_share=1.0) for n, t in THRESHOLDS.items()
        ]
        await cluster.configure([AccountConfig(id="acme", name="Acme"), *lists])
        cluster.start("ingest", "streams-1", "streams-2")
        await asyncio.to_thread(cluster.wait_ready)
        with Admin(bus_settings, PATIENCE) as admin:
            await asyncio.to_thread(_post, cluster, posted)
            for share, name in ((0.25, "streams-1"), (0.6, "streams-2")):
                await asyncio.to_thread(_wait_for_events, admin, cluster, share * len(reports))
                cluster.kill(name)
                cluster.start(name)
            await asyncio.to_thread(_wait_until_read, admin, cluster)
        told = {event.message_id for event in cluster.records("delivery") if isinstance(event, DeliveryEvent)}
        assert told == {f"m{report.message}" for report in reports}
        expected = model(reports)
        found = dict.fromkeys(expected, (True, None, 0))
        for state in cluster.records("contacts"):
            assert isinstance(state, ContactState)
            found[state.contact] = state.active, state.reason, state.failures
        wrong = [
            (contact, found[contact], expected[contact]) for contact in expected if found[contact] != expected[contact]
        ]
        assert not wrong, f"{len(wrong)} states are wrong (contact, is, must be), such as {wrong[:5]}"


def _post(cluster: Cluster, reports: list[Report]) -> None:
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
    with httpx.Client(timeout=PATIENCE) as client:
        for first in range(0, len(reports), A_CALLBACK):
            body = {"results": [report.item() for report in reports[first : first + A_CALLBACK]]}
            assert client.post(url, json=body).status_code == 200


def _wait_for_events(admin: Admin, cluster: Cluster, count: float) -> None:
    name = cluster.settings.catalogue["delivery"].name
    progress = Progress()
    while (missing := count - sum(admin.end_offsets(name).values())) > 0:
        progress.look(missing, "events are")
        time.sleep(0.3)


def _wait_until_read(admin: Admin, cluster: Cluster) -> None:
    """Wait until every input is fully read, twice in a row: the last records may lead to more."""
    quiet, progress = 0, Progress()
    while quiet < 2:
        left = sum(admin.lag(f"{cluster.settings.topic_prefix}trackly-streams").values())
        quiet = quiet + 1 if left == 0 else 0
        progress.look(left, "unread records are")
        cluster.revive()
        time.sleep(0.5)
