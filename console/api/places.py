"""`POST /api/contacts/places`: an account states where contacts are."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from fastapi import APIRouter, Request
from pydantic import Field

from console.access.callers import Caller, IdempotencyKey, Supporter, TheParts, accept
from console.backends.idempotency import Accepted
from console.backends.kafka_writer import Entry
from console.changes.acts import caller_ip
from console.http.fields import MAX_BATCH, Body, Number, State, TimeZone, examples
from operations.audit import DONE
from schemas.cloudevents import iso_time
from schemas.ids import derived_id, recipient_key
from schemas.records import AuditEntry, ContactPlace

router = APIRouter(tags=["Sending"])

Known = tuple[str, str | None, str | None]
"""A number, its time zone, its state."""


class LocatedContact(Body):
    """Where a contact is."""

    number: Number = examples("+15551230001")
    time_zone: TimeZone | None = Field(
        default=None, description="Its time zone, by its IANA name.", examples=["America/New_York"]
    )
    state: State | None = Field(default=None, description="The U.S. state in its postal address.", examples=["NY"])


class Places(Body):
    """Locations of contacts; without time zone and state, the number decides."""

    contacts: list[LocatedContact] = Field(min_length=1, max_length=MAX_BATCH)


class Located(Body):
    """The accepted places: all are on Kafka, acknowledged by all in-sync replicas."""

    accepted: int = Field(description="Number of contacts.", examples=[1])
    accepted_at: str = examples("2026-11-20T10:15:01.120Z")


@router.post("/api/contacts/places", status_code=202, summary="Set where contacts are")
async def locate(
    request: Request, body: Places, parts: TheParts, caller: Supporter, idempotency_key: IdempotencyKey = None
) -> Located:
    """Set where 1 to 1,000 contacts are.

    In checks, a place takes precedence over the number, within about a second. It replaces the earlier place, on every
    list of the account.
    """
    accepted = await accept(request, parts, caller, idempotency_key)
    entries = place_entries(caller, ((each.number, each.time_zone, each.state) for each in body.contacts), accepted)
    audited = AuditEntry(
        event_id=derived_id(accepted.seed, "audit"),
        account=caller.account,
        actor=caller.principal.actor,
        action="contact.place",
        object=body.contacts[0].number if len(body.contacts) == 1 else "",
        details=orjson.dumps({"contacts": len(body.contacts)}).decode(),
        remote_ip=caller_ip(request),
        request_id="",
        outcome=DONE,
        at=accepted.at,
    )
    await parts.writer.write("audit", [Entry(caller.account.encode(), audited, audited.event_id, accepted.at)])
    await parts.writer.write("places", entries)
    return Located(accepted=len(body.contacts), accepted_at=iso_time(accepted.at))


def place_entries(caller: Caller, places: Iterable[Known], accepted: Accepted) -> list[Entry]:
    """Return the records of places; of several for one number, the last."""
    newest = {recipient_key(caller.account, number): (number, zone, state) for number, zone, state in places}
    entries = []
    for key, (number, zone, state) in newest.items():
        place = ContactPlace(
            account=caller.account,
            phone_number=number,
            time_zone=zone,
            state=state,
            given_by=caller.principal.name,
            given_at=accepted.at,
        )
        event_id = derived_id(accepted.seed, "place", number)
        entries.append(Entry(key, None if zone is None and state is None else place, event_id, accepted.at))
    return entries
