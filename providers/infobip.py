"""Infobip: delivery reports, inbound SMS and MMS in batches, and clicks one by one.

https://www.infobip.com/docs/api/channels/sms: `{"results": [...]}`, by default up to 100, at most 2000 items; as XML,
where the sender asked for it, `<results>` with a `<result>` for each. Reports come in two shapes, v3 (`sender`,
`messageCount`) and v2 (`from`, `smsCount`), those of MMS likewise; no field is promised.
Codes: https://www.infobip.com/docs/essentials/api-essentials/response-status-and-error-codes.
What each of them means here stands in `data/infobip.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from providers import xml
from providers.base import Answer, CallbackRequest, Item, Malformed, Unreadable
from providers.bodies import is_xml, json_text, json_value
from providers.fields import BadItem, bounded, count, currency, decimal, integer, mapping, number, origin, text
from providers.meanings import Meaning, meanings, tables
from providers.numbers import to_sender
from providers.proof import require_basic, require_header, require_url_secret
from providers.times import epoch_millis, iso_millis
from schemas.records import InboundMessage, LinkClick, RawCallback, Receipt


class Infobip:
    """Provider `infobip`."""

    name = "infobip"
    methods = frozenset({"POST"})
    behind_path_secret = False
    credentials: tuple[str, ...] = ("username", "password", "header_name", "header_value", "secret")

    def verify(self, request: CallbackRequest, credentials: Mapping[str, str]) -> None:
        """HTTP Basic, a fixed header, a secret in the URL: each that the account has must be right.

        With none of them it passes. Infobip can sign with HMAC too, but documents neither the header nor the
        signed bytes.
        """
        require_basic(request, credentials)
        require_header(request, credentials)
        require_url_secret(request, credentials)

    def read(self, callback: RawCallback) -> list[Item]:
        """An item with `status` is a report; one with `from` and a text, a message or a time is a reply.

        A body that is one object with `notificationType` is a click.
        """
        return [_read_item(callback, index, posted) for index, posted in enumerate(_items(callback))]

    def answer(self, request: CallbackRequest) -> Answer:
        """An empty body. Infobip looks at the status only."""
        return Answer()


@dataclass(frozen=True, slots=True)
class Posted:
    """One item of a body as text and as a value. `where` is its place; a click is the whole body and has none."""

    raw: str
    value: Any
    where: str = ""

    def __getitem__(self, field: str) -> Any:
        """The value of a field, None where there is none."""
        return self.value.get(field)

    def named(self, field: str) -> str:
        """Name of a field with its place, for errors."""
        return f"{self.where}.{field}" if self.where else field


_REPLY_FIELDS = ("text", "message", "receivedAt")
_CLICK = "CLICKED"


def _items(callback: RawCallback) -> list[Posted]:
    if is_xml(callback):
        lists = [each for each in xml.root_of(callback) if each.tag == "results"]
        if not lists:
            raise Unreadable("missing_field", "results is missing")
        elements = bounded([result for results in lists for result in results])
        return [Posted(xml.text_of(each), xml.value_of(each), f"results[{n}]") for n, each in enumerate(elements)]
    body = json_value(callback)
    if not isinstance(body, dict):
        raise Unreadable("missing_field", "the body is not an object with a results list")
    results = body.get("results")
    if results is None and "notificationType" in body:
        return [Posted(json_text(body), body)]
    if not isinstance(results, list):
        raise Unreadable("missing_field", "results is missing" if results is None else "results is not a list")
    return [Posted(json_text(each), each, f"results[{n}]") for n, each in enumerate(bounded(results))]


def _read_item(callback: RawCallback, index: int, posted: Posted) -> Item:
    try:
        if not isinstance(posted.value, dict):
            raise BadItem("wrong_type", f"{posted.where} is not an object")
        if not posted.where:
            return _click(callback, index, posted)
        if posted["status"] is not None:
            return _report(callback, index, posted)
        if posted["from"] is not None and any(posted[field] is not None for field in _REPLY_FIELDS):
            return _reply(callback, index, posted)
        raise BadItem("missing_field", f"{posted.named('status')} is missing, and the item is no reply either")
    except BadItem as bad:
        return Malformed(bad.reason, str(bad), posted.raw)


def _report(callback: RawCallback, index: int, posted: Posted) -> Receipt:
    status = posted["status"]
    if not isinstance(status, dict):
        raise BadItem("wrong_type", f"{posted.named('status')} is not an object")
    message_id = text(posted["messageId"])
    if not message_id:
        raise BadItem("missing_field", f"{posted.named('messageId')} is missing")
    error = mapping(posted["error"])
    group = group_of(status)
    if group is None:
        unknown = text(status.get("groupName")) or text(status.get("groupId"))
        raise BadItem("unknown_status", f"{posted.named('status')} has an unknown group: {unknown[:40]!r}")
    meaning = meaning_of(group, status, error)
    error_id = integer(error.get("id"))
    error_text = text(error.get("description")) if error_id != 0 else ""
    price = mapping(posted["price"])
    return Receipt(
        **origin(callback, index),
        **meaning.outcome(),
        provider_message_id=message_id,
        sender_reference=text(posted["callbackData"]) or None,
        to=None if posted["to"] is None else number(text(posted["to"]), posted.named("to")),
        from_=to_sender(text(posted["sender"]) or text(posted["from"])) or None,
        provider_status=text(status.get("name")) or text(status.get("groupName")) or meaning.detail,
        provider_code=_code(group, integer(status.get("id")), error_id),
        provider_text=error_text or text(status.get("description")) or None,
        occurred_at=iso_millis(posted["doneAt"]),
        parts=count(posted.value.get("messageCount", posted["smsCount"])),
        price=decimal(price.get("pricePerMessage")),
        currency=currency(price.get("currency")),
        network=text(posted.value.get("mccMnc", posted["mccmnc"])) or None,
        raw=posted.raw,
    )


def _reply(callback: RawCallback, index: int, posted: Posted) -> InboundMessage:
    sender = to_sender(text(posted["from"]))
    if not sender:
        raise BadItem("missing_field", f"{posted.named('from')} is missing")
    words, media = _content(posted)
    return InboundMessage(
        **origin(callback, index),
        provider_message_id=text(posted["messageId"]) or None,
        from_=sender,
        to=to_sender(text(posted["to"])) or None,
        text=words,
        media=media,
        occurred_at=iso_millis(posted["receivedAt"]),
        raw=posted.raw,
    )


def _content(posted: Posted) -> tuple[str | None, tuple[str, ...]]:
    """Text and media URLs. An MMS has segments instead of a text; plain texts are joined by line breaks."""
    message = posted["message"]
    # In XML one segment alone is no list.
    segments = [mapping(each) for each in (message if isinstance(message, list) else [message])]
    media = tuple(url for segment in segments if (url := text(segment.get("url"))))
    if isinstance(posted["text"], str):
        return posted["text"], media
    texts = [
        segment["value"]
        for segment in segments
        if isinstance(segment.get("value"), str) and text(segment.get("contentType")).startswith("text/plain")
    ]
    return "\n".join(texts) if texts else None, media


def _click(callback: RawCallback, index: int, posted: Posted) -> LinkClick:
    kind = text(posted["notificationType"])
    if kind != _CLICK:
        raise BadItem("not_supported", f"notificationType is {kind[:40]!r}; there is an event for {_CLICK} only")
    return LinkClick(
        **origin(callback, index),
        provider_message_id=text(posted["messageId"]) or None,
        to=number(text(posted["recipient"]), "recipient"),
        url=text(posted["url"]) or None,
        occurred_at=epoch_millis(posted["sendDateTime"]),
        raw=posted.raw,
    )


# What the codes mean

_TABLES = tables("infobip")
_GROUPS: Mapping[int, Meaning] = meanings(_TABLES["groups"], "id")
_GROUP_OF_NAME: Mapping[str, int] = {name: row["id"] for row in _TABLES["groups"] for name in row["names"]}
_FAILED_GROUPS = (2, 5)


def _meaning(row: Mapping[str, Any], group: int) -> Meaning:
    return replace(_GROUPS[group], detail=row["detail"], status_class=row["class"], final=row.get("final", True))


# A name of one group of failures is understood in the other too: senders differ on where it belongs.
_BY_NAME: Mapping[tuple[int, str], Meaning] = {
    (group, row["name"]): _meaning(row, group)
    for row in _TABLES["bare_ids"] + _TABLES["statuses"]
    for group in (_FAILED_GROUPS if row["group"] in _FAILED_GROUPS else (row["group"],))
}
# Bare ids come last and win over Infobip's own.
_BY_ID: Mapping[tuple[int, int], Meaning] = {
    (row["group"], row["id"]): _meaning(row, row["group"]) for row in _TABLES["statuses"] + _TABLES["bare_ids"]
}
_BY_ERROR: Mapping[tuple[int, str | int], Meaning] = {
    (group, row[key]): _meaning(row, group)
    for row in _TABLES["errors"]
    for group in _FAILED_GROUPS
    for key in ("id", "name")
}
_KNOWN_NAMES = frozenset(name for _, name in _BY_NAME)
_REMOVING = frozenset({"complaint", "invalid", "opt_out"})


def group_of(status: Mapping[str, Any]) -> int | None:
    """The group of a status, by its number or else by its name; None when both are unknown."""
    group = integer(status.get("groupId"))
    if group in _GROUPS:
        return group
    return _GROUP_OF_NAME.get(text(status.get("groupName")).strip().upper())


def meaning_of(group: int, status: Mapping[str, Any], error: Mapping[str, Any]) -> Meaning:
    """What the `status` and `error` objects of a report mean. The group gives the public status.

    Within it a name decides, and an id only where there is no name: senders number their statuses differently
    (`bare_ids` in the data). An unknown name is its own detail, with the class of its group; a name that belongs
    to another group is passed over.
    """
    own_name, status_id = text(status.get("name")).strip(), integer(status.get("id"))
    name = own_name.upper()
    meaning = _BY_NAME.get((group, name))
    if meaning is None and name and name not in _KNOWN_NAMES:
        meaning = replace(_GROUPS[group], detail=own_name)
    if meaning is None and status_id is not None:
        meaning = _BY_ID.get((group, status_id))
    if meaning is None:
        meaning = _GROUPS[group]
    return _refined(group, meaning, error)


def _refined(group: int, meaning: Meaning, error: Mapping[str, Any]) -> Meaning:
    """The error of a failed message says more than its status and wins, but never turns a removal into a mere failure.

    Here too a name decides, and an id only where there is no name. `permanent` is not read: Infobip sets it
    on temporary failures of a handset too.
    """
    name = text(error.get("name")).strip().upper()
    found = _BY_ERROR.get((group, name or integer(error.get("id")) or 0))
    if found is None or (meaning.status_class in _REMOVING and found.status_class not in _REMOVING):
        return meaning
    return found


def _code(group: int, status_id: int | None, error_id: int | None) -> str:
    """`group,id`, or only `group`, and `/error id` where there is an error: `3,5`, `2,4/603`."""
    code = str(group) if status_id is None else f"{group},{status_id}"
    return f"{code}/{error_id}" if error_id else code
