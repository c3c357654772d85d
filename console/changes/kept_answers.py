"""Answers to checks, for accounts that keep them as evidence: on Kafka before they are given."""

from __future__ import annotations

from console.access.callers import Caller
from console.backends.kafka_writer import Entry
from console.errors import ApiError, not_available
from console.parts import Parts
from schemas.ids import random_id
from schemas.records import ContactAnswers


async def keep(parts: Parts, caller: Caller, list_number: str, purpose: str, body: bytes) -> None:
    """Make an answer durable, if the account keeps its answers. `body` is the JSON to be given.

    Raises ApiError (503) if Kafka rejects it: an answer that could not be proven must not be given.
    """
    if not parts.accounts.accounts[caller.account].keeps_answers:
        return
    answers = ContactAnswers(
        event_id=random_id(),
        account=caller.account,
        list_number=list_number,
        purpose=purpose,
        asked_by=caller.principal.actor,
        answered_at=parts.clock(),
        body=body.decode(),
    )
    entry = Entry(caller.account.encode(), answers, answers.event_id, answers.answered_at)
    try:
        await parts.writer.write("answers", [entry])
    except ApiError as error:
        raise not_available(
            "This account keeps its answers as evidence, and Kafka did not accept this one in time: text nobody, "
            "and ask again."
        ) from error
