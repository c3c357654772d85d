"""Everything that affects one number's consent, in order, and how long removals took to take effect."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, Table, func, literal, null, select

from console.queries.contacts import removals_by
from console.queries.rows import At
from database.read_state import freshness_of
from database.tables import answers, contacts, evidence
from operations.evidence import FORMAT
from schemas.cloudevents import iso_time
from schemas.numbering import spellings

MOST = 2_000
"""Maximum records about a number to return, newest first; and as many answers."""

SAFE = 2**53
"""Larger integers are written as texts, because not every language can read them exactly."""

EFFECTS = ("unsubscribe", "removed")
"""Kinds of records that mean a person must not be texted anymore."""

_TITLES: Mapping[str, str] = {
    "reply": "Reply received",
    "report": "Report received",
    "unsubscribe": "Classified as an opt-out",
    "removed": "Removed",
    "restored": "May be texted again",
    "state": "State of the contact",
    "order": "Command issued",
    "webhook": "Customer notified",
    "audit": "Audit entry",
    "answer": "Answer given",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeToEffect:
    """How long it took from the receipt of a callback until the removal that it led to was on Kafka, over a period.

    Milliseconds; null where there was none. `count` is the number of removals that a callback led to.
    """

    since: At
    until: At
    count: int
    p50_ms: int | None
    p99_ms: int | None
    max_ms: int | None


def time_to_effect(connection: Connection, account: str, since: int, until: int) -> TimeToEffect:
    """Return an account's figures for records from `since` until before `until` (ms)."""
    columns = evidence.c
    mine: Sequence[ColumnElement[bool]] = (
        columns.account == account,
        columns.recorded_at >= since,
        columns.recorded_at < until,
        columns.effect_ms.is_not(None),
    )
    count, most = connection.execute(select(func.count(), func.max(columns.effect_ms)).where(*mine)).one()

    def quantile(percent: int) -> int | None:
        place = max(0, -(-count * percent // 100) - 1)
        query = select(columns.effect_ms).where(*mine).order_by(columns.effect_ms).limit(1).offset(place)
        found: int | None = connection.execute(query).scalar()
        return found

    return TimeToEffect(since=since, until=until, count=count, p50_ms=quantile(50), p99_ms=quantile(99), max_ms=most)


def evidence_of(
    connection: Connection,
    account: str,
    number: str,
    lists: Collection[str],
    aliases: Sequence[str],
    made_by: str,
    now: int,
) -> dict[str, Any]:
    """Return the evidence about a number, to be signed. `aliases` are the pseudonyms of an erased number, `lists` the
    account's; `now` is in ms."""
    rows = _rows(connection, account, number)
    told = [row.event_id for row in rows if row.kind in (*EFFECTS, "restored")]
    given = _answers(connection, account, number)
    rows = _ordered([*rows, *_webhooks(connection, account, told), *given])
    received = {row.event_id: row for row in rows if row.kind in ("reply", "report")}
    causes = {effect: row for event_id, row in received.items() for effect in removals_by(event_id, lists)}
    fresh = freshness_of(connection)
    until = None if fresh is None else fresh.caught_up_at
    return {
        "format": FORMAT,
        "account": account,
        "number": number,
        "made_at": iso_time(now),
        "made_by": made_by,
        "complete_until": None if until is None else iso_time(until),
        "left_out": sum(max(0, _count(connection, table, account, number) - MOST) for table in (evidence, answers)),
        "states": _states(connection, account, (*spellings(number), *aliases), aliases),
        "removals": [_removal(row, causes.get(row.event_id)) for row in rows if row.kind in EFFECTS],
        "steps": [_step(row) for row in rows],
    }


def _rows(connection: Connection, account: str, number: str) -> list[Row[Any]]:
    columns = evidence.c
    mine = (columns.account == account, columns.number.in_(spellings(number)))
    newest = select(evidence).where(*mine).order_by(columns.recorded_at.desc(), columns.id.desc()).limit(MOST)
    seen: set[tuple[str, str]] = set()
    rows = []
    for row in reversed(connection.execute(newest).all()):
        identity = (row.kind, _version(row) if row.kind == "state" else row.place)
        if identity not in seen:
            seen.add(identity)
            rows.append(row)
    return rows


def _version(row: Row[Any]) -> str:
    """Return a key for a state's content. A worker that takes over republishes it with another id."""
    body = orjson.loads(row.body)
    return orjson.dumps({**body, "last_event_id": None} if body.get("version") else body).decode()


def _answers(connection: Connection, account: str, number: str) -> Sequence[Row[Any]]:
    """Return the newest answers about a number, with the columns of evidence."""
    columns = answers.c
    mine = (columns.account == account, columns.number.in_(spellings(number)))
    nothing = null()
    shown = select(
        answers,
        literal("answer").label("kind"),
        nothing.label("effect_ms"),
        nothing.label("source"),
        nothing.label("source_sha256"),
    )
    return connection.execute(shown.where(*mine).order_by(columns.recorded_at.desc()).limit(MOST)).all()


def _count(connection: Connection, table: Table, account: str, number: str) -> int:
    mine = (table.c.account == account, table.c.number.in_(spellings(number)))
    return connection.execute(select(func.count()).select_from(table).where(*mine)).scalar_one()


def _webhooks(connection: Connection, account: str, told: Sequence[str]) -> Sequence[Row[Any]]:
    if not told:
        return []
    columns = evidence.c
    mine = (columns.account == account, columns.kind == "webhook", columns.event_id.in_(told))
    return connection.execute(select(evidence).where(*mine).order_by(columns.id).limit(MOST)).all()


_ORDER = ("audit", "order", "reply", "report", "unsubscribe", "removed", "restored", "state", "webhook", "answer")
"""Causal order of records written in the same millisecond."""


def _ordered(rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    return sorted(rows, key=lambda row: (row.recorded_at, _ORDER.index(row.kind), row.id))


def _states(
    connection: Connection, account: str, numbers: Sequence[str], aliases: Sequence[str]
) -> list[dict[str, Any]]:
    found = select(contacts).where(contacts.c.account == account, contacts.c.number.in_(numbers))
    return [
        {
            "list_number": row.list_number or None,
            "may_be_texted": row.active,
            "reason": row.reason,
            "since": iso_time(row.since),
            "is_erased": row.number in aliases,
        }
        for row in connection.execute(found.order_by(contacts.c.list_number, contacts.c.id))
    ]


def _removal(row: Row[Any], cause: Row[Any] | None) -> dict[str, Any]:
    body = orjson.loads(row.body)
    said = {} if cause is None else orjson.loads(cause.body)
    received_at = body.get("received_at")
    return {
        "list_number": row.list_number,
        "reason": body.get("reason"),
        "keyword": body.get("keyword"),
        "layer": body.get("layer"),
        "said": said.get("text"),
        "happened_at": iso_time(row.at),
        "received_at": None if received_at is None else iso_time(received_at),
        "effective_at": iso_time(row.recorded_at),
        "took_ms": row.effect_ms,
        "confirmation_allowed_until": _time(body.get("confirm_until")),
        "event_id": row.event_id,
        "cause_event_id": None if cause is None else cause.event_id,
    }


def _step(row: Row[Any]) -> dict[str, Any]:
    body = orjson.loads(row.body)
    if row.kind == "answer":
        body = {"as_of": row.as_of, "asked_by": row.asked_by, "purpose": row.purpose, "answer": body}
    return {
        "kind": row.kind,
        "title": _TITLES[row.kind],
        "happened_at": iso_time(row.at),
        "written_at": iso_time(row.recorded_at),
        "list_number": row.list_number,
        "says": says(row.kind, body),
        "event_id": row.event_id,
        "place": row.place,
        "sha256": row.sha256,
        "callback": row.source,
        "callback_sha256": row.source_sha256,
        "record": _portable(body),
    }


def says(kind: str, body: Mapping[str, Any]) -> str:
    """Summarize a record in a few words."""
    match kind:
        case "reply":
            what = {"opt_out": ", an opt-out by its provider", "opt_in": ", an opt-in by its provider"}
            text = body.get("text") or body.get("keyword") or ""
            return f'"{text}" to {body.get("to") or "an unnamed receiver"}{what.get(str(body.get("kind")), "")}'
        case "report":
            code = f", code {body['provider_code']}" if body.get("provider_code") else ""
            return f"{body.get('status_detail')}{code}, for message {body.get('provider_message_id')}"
        case "unsubscribe":
            until = body.get("confirm_until")
            allowed = "" if until is None else f"; one confirmation allowed until {iso_time(until)}"
            return f"{body.get('keyword')}, found by {body.get('layer') or 'an unrecorded rule'}{allowed}"
        case "removed" | "restored":
            return f"for {body.get('reason')}"
        case "state":
            version = f", version {body.get('version')}" if body.get("version") else ""
            state = "may be texted" if body.get("active") else f"must not be texted: {body.get('reason')}"
            lists = ", ".join(body.get("except_lists") or ())
            return f"{state}{', but on ' + lists if lists else ''}{version}"
        case "order":
            reason = f" for {body['reason']}" if body.get("reason") else ""
            when = body.get("happened_at")
            dated = "" if when is None else f", as of {iso_time(when)}"
            return f"{body.get('command')}{reason}{dated}, by {body.get('issued_by') or 'nobody named'}"
        case "answer":
            return f"{_answered(body['answer'])}, as of {body['as_of']}, asked by {body['asked_by']}"
        case "webhook":
            answer = f"answered {body['status']}" if body.get("status") else str(body.get("error_class"))
            return f"{body.get('endpoint')}: {answer}, attempt {body.get('attempt')}, {body.get('latency_ms')} ms"
        case _:
            return f"{body.get('action')} by {body.get('actor')}: {body.get('details')}"


def _answered(answer: Mapping[str, Any]) -> str:
    """Summarize an answer to a sender in a few words."""
    rule = "" if answer["rule"] is None else f" ({answer['rule']})"
    if answer["may_be_texted"]:
        return "may be texted" if answer["until"] is None else f"may be texted until {answer['until']}{rule}"
    why = answer["reason"] or answer["code"]
    later = "" if answer["not_before"] is None else f", not before {answer['not_before']}"
    return f"must not be texted: {why}{rule}{', which is held' if answer['held'] else ''}{later}"


def _portable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _portable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_portable(each) for each in value]
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) >= SAFE):
        return str(value)
    return value


def _time(millis: Any) -> str | None:
    return iso_time(millis) if isinstance(millis, int) else None
