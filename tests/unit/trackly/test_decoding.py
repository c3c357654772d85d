from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bus.settings import BusSettings
from schemas.records import (
    AccountConfig,
    ContactState,
    EndpointConfig,
    InboundMessage,
    Link,
    MessageSent,
    Record,
    RejectedRecord,
)
from tests.unit.trackly.kafka_records import Found
from trackly.decoding import Decoder, text_or_base64

SETTINGS = BusSettings(bootstrap_servers="localhost:1", topic_prefix="test.")
DECODER = Decoder(SETTINGS)

STATE = ContactState(
    contact="acme:54321:+18005551234",
    account="acme",
    list_number="54321",
    phone_number="+18005551234",
    active=False,
    failures=3,
    reason="bad_response",
    since=1_705_314_600_000,
    last_event_id="evt_1",
)


def topic(name: str) -> str:
    return SETTINGS.catalogue[name].name


def line(name: str, value: Record | bytes | None, **options: Any) -> dict[str, Any]:
    data = value if value is None or isinstance(value, bytes) else DECODER.codec.encode(value)
    return DECODER.line(Found(topic(name), data), **options)


def test_a_line_has_place_time_key_headers_and_value() -> None:
    found = line("contacts", STATE)
    assert list(found) == ["topic", "partition", "offset", "timestamp", "key", "headers", "value"]
    assert found == {
        "topic": topic("contacts"),
        "partition": 2,
        "offset": 7,
        "timestamp": "2024-01-15T10:30:00.123Z",
        "key": "acme:54321:+18005551234",
        "headers": {"ce_id": "evt_1"},
        "value": {
            "contact": "acme:54321:+18005551234",
            "account": "acme",
            "list_number": "54321",
            "phone_number": "+18005551234",
            "active": False,
            "failures": 3,
            "reason": "bad_response",
            "since": "2024-01-15T10:30:00.000Z",
            "last_event_id": "evt_1",
            "version": 0,
            "scope": "list",
            "except_lists": [],
            "known_as": None,
            "held": False,
        },
    }


def test_a_record_that_deletes_its_key_has_no_value_and_no_error() -> None:
    found = line("contacts", None)
    assert found["value"] is None
    assert "error" not in found


def test_what_cannot_be_decoded_has_no_value_and_an_error() -> None:
    found = line("contacts", b"junk!")
    assert found["value"] is None
    assert "magic byte" in found["error"]


def test_changelogs_are_shown_as_they_are() -> None:
    assert line("table_contacts", b'{"f":3}')["value"] == '{"f":3}'
    assert line("table_messages", b"\xff")["value"] == {"base64": "/w=="}


def test_raw_values_are_not_decoded() -> None:
    assert line("raw", b"\x00\xff", raw=True)["value"] == {"base64": "AP8="}


def test_fields_have_the_names_of_the_schema() -> None:
    reply = InboundMessage(
        event_id="evt_1", account="acme", provider="cm", from_="+18005551234", occurred_at=None, received_at=0, raw="{}"
    )
    value = line("inbound", reply)["value"]
    assert value["from"] == "+18005551234"
    assert "from_" not in value
    assert value["occurred_at"] is None
    assert value["received_at"] == "1970-01-01T00:00:00.000Z"


def test_bytes_and_nested_records_are_json() -> None:
    rejected = RejectedRecord(
        event_id="evt_1",
        stage="normalize",
        reason="not_json",
        error="no JSON",
        source_topic="t",
        source_partition=0,
        source_offset=1,
        source_value=b"\xfe",
        rejected_at=0,
    )
    sent = MessageSent(
        message_id="m",
        account="acme",
        provider="cm",
        provider_message_id="p",
        list_number="54321",
        to="+18005551234",
        links=(Link("c1", "https://a.example"),),
        sent_at=0,
    )
    assert line("rejected", rejected)["value"]["source_value"] == {"base64": "/g=="}
    assert line("messages", sent)["value"]["links"] == [{"click_id": "c1", "url": "https://a.example"}]


def test_secrets_of_settings_are_hidden_and_references_are_not() -> None:
    account = AccountConfig(
        id="acme",
        name="Acme",
        providers={"twilio": {"auth_token": "s3cret", "auth_token_previous": "env:OLD"}},
        postbacks={"token": "s3cret"},
        discord_webhook_url="https://discord.example/s3cret",
    )
    endpoint = EndpointConfig(account="acme", id="crm", url="https://a.example", secret="s3cret", events=("reply",))
    shown = line("config_accounts", account)["value"], line("config_endpoints", endpoint)["value"]
    assert "s3cret" not in str(shown)
    assert shown[0]["providers"] == {"twilio": {"auth_token": "***", "auth_token_previous": "env:OLD"}}
    assert shown[1]["secret"] == "***"


def test_an_unreadable_setting_is_not_quoted() -> None:
    data = DECODER.codec.encode(
        EndpointConfig(account="acme", id="crm", url="https://a.example", secret="s3cret", events=())
    )
    found = line("config_endpoints", data.replace(b"s3cret", b"s3cr\xff\xff"))
    assert found["value"] is None
    assert "s3cr" not in found["error"]


@given(st.binary())
def test_bytes_are_text_where_they_can_be(data: bytes) -> None:
    shown = text_or_base64(data)
    assert isinstance(shown, str) == _is_utf8(data)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
