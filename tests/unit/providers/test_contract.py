"""Laws that hold for every provider in PROVIDERS. A new one needs an entry in CASES and a file of samples."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest.redaction import storable_headers
from operations.as_code.file import CREDENTIALS
from operations.samples import SOURCES, TOPICS, Occasion, Sample
from providers import PROVIDERS
from providers.base import Answer, CallbackRequest, Item, Malformed, NotAuthentic, Unreadable
from providers.meanings import tables
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.ids import derived_id
from schemas.records import InboundMessage, LinkClick, RawCallback, Receipt
from tests.examples import examples as tries
from tests.unit.providers.contract_cases import CASES, SECRET, Batch
from tests.unit.providers.provider_callbacks import callback

NAMES = sorted(PROVIDERS.keys() & CASES.keys())
REPORTING = [name for name in NAMES if CASES[name].statuses]
PROVING = [name for name in NAMES if not PROVIDERS[name].behind_path_secret]
CODEC = Codec(FolderRegistry())
URL = "https://callbacks.example/x?account=acme"

PUBLIC_STATUSES = {"pending", "delivered", "undeliverable", "expired", "rejected"}
CLASSES = {"delivered", "complaint", "invalid", "transient", "opt_out", "neutral"}
RECORDS = {"receipts": Receipt, "inbound": InboundMessage, "clicks": LinkClick}
OCCASION = Occasion("+12025550199", "+18005551234", "1221", datetime(2026, 3, 1, 8, tzinfo=UTC))

SAMPLES = [(name, sample) for name in NAMES for sample in SOURCES[name].samples("trackly", OCCASION)]
each_sample = pytest.mark.parametrize(
    ("name", "sample"), SAMPLES, ids=[f"{name}-{sample.kind}" for name, sample in SAMPLES]
)


def test_every_provider_has_an_entry_in_cases() -> None:
    assert sorted(PROVIDERS.keys() - CASES.keys()) == [], "add it to CASES in contract_cases.py"


def proven(name: str, sample: Sample) -> CallbackRequest:
    return SOURCES[name].request(sample, URL, CASES[name].credentials)


def stored(name: str, sample: Sample) -> RawCallback:
    """Return the sample as a callback with its whole query, although ingest would never store it like that."""
    request = proven(name, sample)
    return callback(name, request.body, content_type=request.content_type, method=request.method, query=request.query)


def examples(name: str) -> list[RawCallback]:
    """Callbacks that are understood."""
    return [stored(name, sample) for owner, sample in SAMPLES if owner == name] + CASES[name].examples


def read(raw: RawCallback) -> list[Item]:
    return PROVIDERS[raw.provider].read(raw)


def refusal(name: str, request: CallbackRequest) -> NotAuthentic:
    with pytest.raises(NotAuthentic) as caught:
        PROVIDERS[name].verify(request, CASES[name].credentials)
    assert caught.value.code
    assert SECRET not in str(caught.value)
    return caught.value


def assert_sound(raw: RawCallback) -> None:
    """Check that every record fits its schema, and every unreadable item has a reason."""
    items: list[Item] = []
    unreadable = None
    try:
        items = read(raw)
    except Unreadable as error:
        unreadable = error
    assert unreadable is None or (unreadable.reason and str(unreadable))
    for index, item in enumerate(items):
        if isinstance(item, Malformed):
            assert item.reason
            assert item.error
            assert item.item
            continue
        assert CODEC.decode(CODEC.encode(item)) == item
        assert item.event_id == derived_id("evt_callback", index)
        match item:
            case Receipt():
                assert item.status in PUBLIC_STATUSES
                assert item.status_class in CLASSES
                assert item.status_detail
                assert item.provider_status
                assert item.provider_message_id
            case InboundMessage():
                assert item.from_
                assert item.kind in {"reply", "opt_out", "opt_in"}
            case LinkClick():
                assert item.to


def test_every_provider_has_a_case_and_samples() -> None:
    assert sorted(CASES) == NAMES
    assert {SOURCES[name].path for name in NAMES} == {f"/api/webhook-feedbacks/{name}" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_provider_is_found_by_its_name(name: str) -> None:
    assert PROVIDERS[name].name == name
    assert PROVIDERS[name].methods <= {"POST", "GET"}


@pytest.mark.parametrize("name", NAMES)
def test_a_provider_has_codes_where_it_sends_reports(name: str) -> None:
    assert (PROVIDERS[name].codes is not None) == (name in REPORTING)


@pytest.mark.parametrize("name", NAMES)
def test_an_accounts_file_knows_the_credentials_and_their_predecessors(name: str) -> None:
    credentials, secrets = PROVIDERS[name].credentials, PROVIDERS[name].secrets
    assert {*CREDENTIALS[name]} == {*credentials, *(f"{secret}_previous" for secret in secrets)}
    assert secrets <= {*credentials}


# Samples


@each_sample
def test_a_sample_proves_itself(name: str, sample: Sample) -> None:
    assert sample.method in PROVIDERS[name].methods
    PROVIDERS[name].verify(proven(name, sample), CASES[name].credentials)


@each_sample
def test_a_sample_becomes_what_its_kind_says(name: str, sample: Sample) -> None:
    (item,) = read(stored(name, sample))
    assert isinstance(item, RECORDS[TOPICS[sample.kind]])
    assert sample.marker in item.raw
    if isinstance(item, Receipt):
        assert (item.status == "delivered") == (sample.kind == "delivered")
        assert item.to == OCCASION.contact
    elif isinstance(item, InboundMessage):
        assert item.kind in {sample.kind, "reply"}
        assert item.from_ == OCCASION.contact


# Reading


@pytest.mark.parametrize("name", NAMES)
@given(
    body=st.binary(),
    content_type=st.none() | st.text(),
    method=st.sampled_from(["POST", "GET"]),
    query=st.text(),
)
@settings(max_examples=tries(100))
def test_arbitrary_bytes_are_read_or_unreadable(
    name: str, body: bytes, content_type: str | None, method: str, query: str
) -> None:
    assert_sound(callback(name, body, content_type=content_type, method=method, query=query))


@st.composite
def mutated(draw: st.DrawFn, body: bytes) -> bytes:
    """Return the body after a few changes: parts left out, repeated, moved, or replaced by other bytes."""
    for _ in range(draw(st.integers(1, 4))):
        start, end = sorted(draw(st.tuples(st.integers(0, len(body)), st.integers(0, len(body)))))
        part = body[start:end]
        other = draw(st.sampled_from([b"", part + part, part[::-1], b'"', b"{", b"<", b"%", b"\x00", b"\xff"]))
        body = body[:start] + other + body[end:]
    return body


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=tries(150))
def test_a_callback_that_was_damaged_is_read_or_unreadable(name: str, data: st.DataObject) -> None:
    raw = data.draw(st.sampled_from(examples(name)))
    query = data.draw(mutated(raw.query.encode())).decode(errors="replace")
    assert_sound(replace(raw, body=data.draw(mutated(raw.body)), query=query))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=tries(100))
def test_whatever_is_read_fits_the_schema_of_its_record(name: str, data: st.DataObject) -> None:
    assert_sound(callback(name, data.draw(CASES[name].bodies)))


@pytest.mark.parametrize(
    "batch", [pytest.param(b, id=f"{name}-{n}") for name in NAMES for n, b in enumerate(CASES[name].batches)]
)
@given(data=st.data())
@settings(max_examples=tries(60))
def test_a_batch_gives_one_item_for_each_of_its_own_in_order(batch: Batch, data: st.DataObject) -> None:
    items = data.draw(batch.items)
    raws = [item.item if isinstance(item, Malformed) else item.raw for item in read(batch.body(items))]
    assert raws == [batch.text(item) for item in items]


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_understood(name: str) -> None:
    kinds = {type(item) for raw in examples(name) for item in read(raw)}
    assert InboundMessage in kinds
    assert (Receipt in kinds) == (name in REPORTING)


@pytest.mark.parametrize("name", NAMES)
def test_event_ids_are_derived_from_the_callback_and_differ(name: str) -> None:
    for raw in examples(name):
        ids = [item.event_id for item in read(raw) if not isinstance(item, Malformed)]
        assert ids == [item.event_id for item in read(raw) if not isinstance(item, Malformed)]
        other = [item.event_id for item in read(replace(raw, event_id="evt_other")) if not isinstance(item, Malformed)]
        assert len(set(ids + other)) == 2 * len(ids)


@pytest.mark.parametrize("name", NAMES)
def test_account_and_time_come_from_the_callback(name: str) -> None:
    for raw in examples(name):
        for item in read(replace(raw, account="other", received_at=42)):
            if not isinstance(item, Malformed):
                assert (item.account, item.provider, item.received_at) == ("other", name, 42)


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_reaches_an_item(name: str) -> None:
    for raw in examples(name):
        marked = replace(
            raw,
            query=f"{raw.query}&secret={SECRET}",
            headers={"authorization": SECRET, "x-signature": SECRET},
            path=f"/{SECRET}",
            remote_ip=SECRET,
        )
        assert read(marked) == read(raw)
        assert SECRET not in repr(read(marked))


# Statuses


@pytest.mark.parametrize(("name", "status"), [(name, status) for name in REPORTING for status in CASES[name].statuses])
def test_every_documented_status_is_understood(name: str, status: str) -> None:
    (item,) = read(report(name, status))
    assert isinstance(item, Receipt)
    assert item.final is (item.status != "pending")


@pytest.mark.parametrize("name", REPORTING)
def test_a_status_that_is_not_documented_is_rejected_by_its_name(name: str) -> None:
    (item,) = read(report(name, "UNHEARD-OF"))
    assert isinstance(item, Malformed)
    assert item.reason == "unknown_status"
    assert "unheard-of" in item.error.lower()


def report(name: str, status: str) -> RawCallback:
    make = CASES[name].report
    assert make is not None
    return make(status)


# Proof and answer


@pytest.mark.parametrize("name", PROVING)
@given(
    body=st.binary(),
    values=st.lists(st.text(), min_size=3, max_size=3),
    url=st.text(),
    path_secret=st.none() | st.text(),
)
@settings(max_examples=tries(100))
def test_a_forged_callback_is_refused_and_the_secret_is_not_told(
    name: str, body: bytes, values: list[str], url: str, path_secret: str | None
) -> None:
    headers = dict(zip(("authorization", "x-twilio-signature", "x-callback-key"), values, strict=True))
    refusal(name, CallbackRequest("POST", url, url.partition("?")[2], headers, body, path_secret))


@pytest.mark.parametrize("name", PROVING)
def test_a_callback_without_any_proof_is_refused(name: str) -> None:
    assert refusal(name, CallbackRequest("POST", URL, "account=acme", {}, b"")).code.startswith("missing_")


@pytest.mark.parametrize("name", PROVING)
def test_a_secret_in_the_path_that_the_account_does_not_have_is_refused(name: str) -> None:
    request = proven(name, next(sample for owner, sample in SAMPLES if owner == name))
    PROVIDERS[name].verify(request, CASES[name].credentials)
    refusal(name, replace(request, path_secret="anything"))


@pytest.mark.parametrize("name", [name for name in NAMES if CASES[name].credentials])
def test_secrets_are_compared_as_digests_of_one_length(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare_digest(one, other)

    compare_digest = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    sample = next(sample for owner, sample in SAMPLES if owner == name)
    for wrong in ("s", SECRET[:-1], SECRET + "x", SECRET * 100):
        refusal(name, SOURCES[name].request(sample, URL, dict.fromkeys(CASES[name].credentials, wrong)))
    assert set(compared) == {(32, 32)}


@pytest.mark.parametrize("name", NAMES)
@given(body=st.binary(), query=st.text(), method=st.sampled_from(["POST", "GET"]))
@settings(max_examples=tries(100))
def test_every_callback_is_answered(name: str, body: bytes, query: str, method: str) -> None:
    answer = PROVIDERS[name].answer(CallbackRequest(method, "https://callbacks.example/x", query, {}, body))
    assert isinstance(answer, Answer)
    assert bool(answer.body) == bool(answer.content_type)


@pytest.mark.parametrize("name", NAMES)
def test_details_that_mean_more_are_in_its_table(name: str) -> None:
    provider = PROVIDERS[name]
    special = provider.billing_details | provider.sent_details
    rows = [row for table in tables(name).values() if isinstance(table, list) for row in table] if special else []
    details = {row.get("detail") for row in rows}
    assert special <= details


@pytest.mark.parametrize("name", NAMES)
def test_its_proof_in_a_header_is_never_stored(name: str) -> None:
    headers = dict.fromkeys(PROVIDERS[name].proof_headers, "proof")
    assert headers.keys() == {header.lower() for header in headers}
    assert storable_headers(headers, {}) == {}
