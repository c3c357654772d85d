"""Infobip: delivery reports and inbound SMS and MMS, in batches.

https://www.infobip.com/docs/api/channels/sms: `{"results": [...]}`, by default up to 100, at most 2000 items.
Reports come in two shapes, v3 (`sender`, `messageCount`) and v2 (`from`, `smsCount`); no field is promised.
Codes: https://www.infobip.com/docs/essentials/api-essentials/response-status-and-error-codes.
What each of them means here stands in `data/infobip.json`.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from typing import Any

import orjson

from providers.base import Answer, CallbackRequest, Item, Malformed, NotAuthentic, Unreadable
from providers.jsons import loads
from providers.numbers import NotANumber, to_number, to_sender
from providers.times import iso_millis
from schemas.ids import derived_id
from schemas.records import InboundMessage, RawCallback, Receipt


class Infobip:
    """Provider `infobip`."""

    name = "infobip"
    methods = frozenset({"POST"})
    behind_path_secret = False

    def verify(self, request: CallbackRequest, credentials: Mapping[str, str]) -> None:
        """HTTP Basic (`username`, `password`) and a fixed header (`header_name`, `header_value`), if set.

        With neither set it passes. Infobip can also sign with HMAC, but documents neither the header
        nor the signed bytes. Codes: `missing_credentials`, `wrong_credentials`, and `no_credentials` when the
        account has only half of a pair.
        """
        username, password = _pair(credentials, "username", "password")
        if username:
            _require(_basic(request.headers.get("authorization")), f"{username}:{password}", "HTTP Basic")
        header_name, header_value = _pair(credentials, "header_name", "header_value")
        if header_name:
            _require(request.headers.get(header_name.lower()), header_value, f"header {header_name}")

    def read(self, callback: RawCallback) -> list[Item]:
        """An item with `status` is a report; one with `from` and a text, a message or a time is a reply."""
        return [_read_item(callback, index, item) for index, item in enumerate(_results(callback))]

    def answer(self, request: CallbackRequest) -> Answer:
        """An empty body. Infobip looks at the status only."""
        return Answer()


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means here: public detail, what it does to the contact, whether it is the last word."""

    detail: str
    status_class: str
    final: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """Outcome of one report: number of the status group, public status, and meaning."""

    group: int
    status: str
    meaning: Meaning


def _meaning(row: Mapping[str, Any]) -> Meaning:
    return Meaning(row["detail"], row["class"], row.get("final", True))


_DATA = orjson.loads(resources.files(__package__).joinpath("data/infobip.json").read_bytes())
_GROUP_OF_NAME: Mapping[str, int] = {name: row["id"] for row in _DATA["groups"] for name in row["names"]}
_STATUS_OF_GROUP: Mapping[int, str] = {row["id"]: row["status"] for row in _DATA["groups"]}
_MEANING_OF_GROUP: Mapping[int, Meaning] = {row["id"]: _meaning(row) for row in _DATA["groups"]}
_FAILED_GROUPS = (2, 5)
# A name of one group of failures is understood in the other too: senders differ on where it belongs.
_BY_NAME: Mapping[tuple[int, str], Meaning] = {
    (group, row["name"]): _meaning(row)
    for row in _DATA["bare_ids"] + _DATA["statuses"]
    for group in (_FAILED_GROUPS if row["group"] in _FAILED_GROUPS else (row["group"],))
}
# Bare ids come last and win over Infobip's own.
_BY_ID: Mapping[tuple[int, int], Meaning] = {
    (row["group"], row["id"]): _meaning(row) for row in _DATA["statuses"] + _DATA["bare_ids"]
}
_KNOWN_NAMES = frozenset(name for _, name in _BY_NAME)
_BY_ERROR: Mapping[str | int, Meaning] = {row[key]: _meaning(row) for row in _DATA["errors"] for key in ("id", "name")}
_REMOVING = frozenset({"complaint", "invalid", "opt_out"})
_REPLY_FIELDS = ("text", "message", "receivedAt")


def decide(status: Mapping[str, Any], error: Mapping[str, Any]) -> Decision | None:
    """What the `status` and `error` objects of a report mean; None when the status group is unknown.

    The group, by number or else by name, gives the public status. Within it a name decides, and an id only
    where there is no name: senders number their statuses differently (`bare_ids` in the data). An unknown
    name is its own detail, with the class of its group; a name that belongs to another group is passed over.
    """
    group = _int(status.get("groupId"))
    if group is None or group not in _STATUS_OF_GROUP:
        group = _GROUP_OF_NAME.get(_text(status.get("groupName")).strip().upper())
        if group is None:
            return None
    default = _MEANING_OF_GROUP[group]
    own_name = _text(status.get("name")).strip()
    name = own_name.upper()
    status_id = _int(status.get("id"))
    meaning = _BY_NAME.get((group, name))
    if meaning is None and name and name not in _KNOWN_NAMES:
        meaning = Meaning(own_name, default.status_class, default.final)
    if meaning is None and status_id is not None:
        meaning = _BY_ID.get((group, status_id))
    if meaning is None:
        meaning = default
    if group in _FAILED_GROUPS and error:
        meaning = _refined(meaning, error)
    return Decision(group, _STATUS_OF_GROUP[group], meaning)


def _refined(meaning: Meaning, error: Mapping[str, Any]) -> Meaning:
    """A known error says more than the status and wins, but never turns a removal into a mere failure.

    Here too a name decides, and an id only where there is no name. `permanent` is not read: Infobip sets it
    on temporary failures of a handset too.
    """
    name = _text(error.get("name")).strip().upper()
    found = _BY_ERROR.get(name or _int(error.get("id")) or 0)
    if found is None or (meaning.status_class in _REMOVING and found.status_class not in _REMOVING):
        return meaning
    return found


class _Bad(Exception):
    """One item that cannot be read."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason


def _read_item(callback: RawCallback, index: int, item: Any) -> Item:
    try:
        raw = orjson.dumps(item).decode()
    except TypeError:
        # orjson reads 1024 levels but writes only 254.
        raise Unreadable("not_json", f"results[{index}] is nested too deeply") from None
    try:
        if not isinstance(item, dict):
            raise _Bad("wrong_type", f"results[{index}] is not an object")
        if item.get("status") is not None:
            return _report(callback, index, item, raw)
        if item.get("from") is not None and any(item.get(field) is not None for field in _REPLY_FIELDS):
            return _reply(callback, index, item, raw)
        raise _Bad("missing_field", f"results[{index}].status is missing, and the item is no reply either")
    except _Bad as bad:
        return Malformed(bad.reason, str(bad), raw)


def _report(callback: RawCallback, index: int, item: dict[str, Any], raw: str) -> Receipt:
    status = item["status"]
    if not isinstance(status, dict):
        raise _Bad("wrong_type", f"results[{index}].status is not an object")
    message_id = _text(item.get("messageId"))
    if not message_id:
        raise _Bad("missing_field", f"results[{index}].messageId is missing")
    error = _object(item.get("error"))
    decision = decide(status, error)
    if decision is None:
        group = _text(status.get("groupName")) or _text(status.get("groupId"))
        raise _Bad("unknown_status", f"results[{index}].status has an unknown group: {group[:40]!r}")
    to = item.get("to")
    if to is not None:
        try:
            to = to_number(_text(to))
        except NotANumber:
            raise _Bad("invalid_number", f"results[{index}].to is not a phone number") from None
    error_id = _int(error.get("id"))
    error_text = _text(error.get("description")) if error_id != 0 else ""
    price = _object(item.get("price"))
    meaning = decision.meaning
    return Receipt(
        event_id=derived_id(callback.event_id, index),
        account=callback.account,
        provider=callback.provider,
        provider_message_id=message_id,
        sender_reference=_text(item.get("callbackData")) or None,
        to=to,
        from_=to_sender(_text(item.get("sender")) or _text(item.get("from"))) or None,
        status=decision.status,
        status_detail=meaning.detail,
        status_class=meaning.status_class,
        provider_status=_text(status.get("name")) or _text(status.get("groupName")) or meaning.detail,
        provider_code=_code(decision.group, _int(status.get("id")), error_id),
        provider_text=error_text or _text(status.get("description")) or None,
        final=meaning.final,
        occurred_at=iso_millis(item.get("doneAt")),
        received_at=callback.received_at,
        parts=_count(item.get("messageCount", item.get("smsCount"))),
        price=_decimal(price.get("pricePerMessage")),
        currency=_currency(price.get("currency")),
        network=_text(item.get("mccMnc", item.get("mccmnc"))) or None,
        raw=raw,
    )


def _reply(callback: RawCallback, index: int, item: dict[str, Any], raw: str) -> InboundMessage:
    sender = to_sender(_text(item["from"]))
    if not sender:
        raise _Bad("missing_field", f"results[{index}].from is missing")
    text, media = _content(item)
    return InboundMessage(
        event_id=derived_id(callback.event_id, index),
        account=callback.account,
        provider=callback.provider,
        provider_message_id=_text(item.get("messageId")) or None,
        from_=sender,
        to=to_sender(_text(item.get("to"))) or None,
        text=text,
        media=media,
        occurred_at=iso_millis(item.get("receivedAt")),
        received_at=callback.received_at,
        raw=raw,
    )


def _content(item: dict[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """Text and media URLs. An MMS has segments instead of a text; plain texts are joined by line breaks."""
    message = item.get("message")
    segments = [segment for segment in message if isinstance(segment, dict)] if isinstance(message, list) else []
    media = tuple(url for segment in segments if (url := _text(segment.get("url"))))
    if isinstance(item.get("text"), str):
        return item["text"], media
    texts = [
        segment["value"]
        for segment in segments
        if isinstance(segment.get("value"), str) and _text(segment.get("contentType")).startswith("text/plain")
    ]
    return "\n".join(texts) if texts else None, media


def _results(callback: RawCallback) -> list[Any]:
    if "xml" in (callback.content_type or "").lower() or callback.body.lstrip()[:1] == b"<":
        raise Unreadable("not_supported", "the body is XML; only application/json is read")
    value = loads(callback.body)
    if not isinstance(value, dict):
        raise Unreadable("missing_field", "the body is not an object with a results list")
    results = value.get("results")
    if isinstance(results, list):
        return results
    if "notificationType" in value:
        raise Unreadable("not_supported", "the body is a click notification of Infobip's URL tracking")
    raise Unreadable("missing_field", "results is missing" if results is None else "results is not a list")


def _text(value: Any) -> str:
    """A string as it is, an integer as its digits, "" for anything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _int(value: Any) -> int | None:
    """An integer, also as a string of at most 9 digits; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= 9 and value.isascii() and value.isdigit():
        return int(value)
    return None


def _object(value: Any) -> dict[str, Any]:
    """An object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def _code(group: int, status_id: int | None, error_id: int | None) -> str:
    """`group,id`, or only `group`, and `/error id` where there is an error: `3,5`, `2,4/603`."""
    code = str(group) if status_id is None else f"{group},{status_id}"
    return f"{code}/{error_id}" if error_id else code


def _count(value: Any) -> int | None:
    count = _int(value)
    return count if count is not None and 0 <= count < 2**31 else None


def _decimal(value: Any) -> str | None:
    """A number, or a string that holds one, without exponent. No price has 20 digits."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return None
    return format(number, "f") if number.is_finite() and -20 < number.adjusted() < 20 else None


def _currency(value: Any) -> str | None:
    """Three letters as in ISO 4217. Infobip writes `UNKNOWN` where it has none."""
    return value if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha() else None


def _pair(credentials: Mapping[str, str], first: str, second: str) -> tuple[str, str]:
    one, two = credentials.get(first) or "", credentials.get(second) or ""
    if bool(one) != bool(two):
        raise NotAuthentic("no_credentials", f"the account has only one of {first} and {second}")
    return one, two


def _basic(header: str | None) -> str | None:
    """`user:password` of an Authorization header (RFC 7617), "" when it holds none, None without header."""
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(token.strip(), validate=True).decode()
    except ValueError:
        return ""


def _require(given: str | None, expected: str, what: str) -> None:
    if given is None:
        raise NotAuthentic("missing_credentials", f"{what}: missing")
    if not hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode(errors="surrogatepass")):
        raise NotAuthentic("wrong_credentials", f"{what}: does not match")
