"""Bodies above their sender's limit are not parsed, and are kept whole in the rejected topic."""

from __future__ import annotations

import asyncio

import pytest

from bus.memory import CODEC, MemoryKafka, make_durable
from providers import NETWORKS, PROVIDERS
from providers.base import LARGE_BODY, MAX_FIELDS, SMALL_BODY
from schemas.records import RawCallback, RejectedRecord
from streams.normalize import normalize
from streams.unknown_codes import UnknownCodes
from tests.unit.providers.provider_callbacks import FORM, callback

SENDERS = {**PROVIDERS, **NETWORKS}
READING_FORMS = [name for name in sorted(SENDERS) if name != "infobip"]


def rejected(raw: RawCallback) -> RejectedRecord:
    kafka = MemoryKafka()
    batch = kafka.batch([])
    source = kafka.admitted("sms.raw", None, CODEC.encode(raw))
    normalize(batch, source, CODEC, UnknownCodes(lambda provider: None))
    asyncio.run(make_durable(batch))
    [record] = [CODEC.decode_as(RejectedRecord, record.value) for record in kafka.sent]
    assert record.source_value == source.record.value
    return record


def test_only_a_provider_that_sends_thousands_of_reports_at_once_may_send_megabytes() -> None:
    large = {name for name, sender in SENDERS.items() if sender.max_body_bytes > SMALL_BODY}
    assert large == {"infobip"}
    assert PROVIDERS["infobip"].max_body_bytes == LARGE_BODY


@pytest.mark.parametrize("name", sorted(set(SENDERS) - {"infobip"}))
def test_a_body_that_is_larger_than_its_sender_sends_is_rejected_whole(name: str) -> None:
    body = b'{"a": "' + b"x" * SENDERS[name].max_body_bytes + b'"}'
    assert rejected(callback(name, body)).reason == "too_large"


@pytest.mark.parametrize("name", READING_FORMS)
@pytest.mark.parametrize("in_query", [False, True], ids=["form", "query"])
def test_a_form_of_more_fields_than_anybody_sends_is_rejected_whole(name: str, in_query: bool) -> None:
    form = "a=1&" * MAX_FIELDS + "From=1"
    raw = (
        callback(name, b"", method="GET", query=form) if in_query else callback(name, form.encode(), content_type=FORM)
    )
    assert rejected(raw).reason == "too_many_fields"


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_so_is_an_object_with_as_many(name: str) -> None:
    body = b"{" + b",".join(b'"a%d":1' % n for n in range(MAX_FIELDS + 1)) + b"}"
    assert rejected(callback(name, body)).reason == "too_many_fields"
