"""Infobip: delivery reports, replies, and opt-outs of every channel, in batches, and single notices.

https://www.infobip.com/docs/api: `{"results": [...]}`, by default up to 100 and at most 2000 items; as XML, if the
sender asked for it, `<results>` with one `<result>` each. One URL receives several dialects, distinguished by their
fields:

- SMS (v3 `sender`, `messageCount`; v2 `from`, `smsCount`), MMS, WhatsApp, Viber, RCS: reports name the recipient in
  `to`; replies name the writer in `from` or `sender` and put the text in `text` or `message`
- the Messages API, for any channel: `event`, `sender`, `destination`, `content`
- the blocklist: `BLOCK` and `UNBLOCK`, the only notice of an opt-out by link

No field is guaranteed. `providers.infobip_items` reads the fields, and `providers.infobip_codes` says what each code
means here.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from msgspec.structs import replace

from providers import infobip_codes
from providers.base import (
    LARGE_BODY,
    NOT_SUPPORTED,
    OTHER_CHANNEL,
    Answer,
    CallbackRequest,
    Codes,
    Item,
    Malformed,
    NotAuthentic,
    Provider,
)
from providers.bounds import within_bounds
from providers.fields import (
    BadItem,
    chosen,
    count,
    currency,
    decimal,
    integer,
    mapping,
    number,
    number_or_none,
    origin,
    text,
)
from providers.infobip_codes import READ, group_of, meaning_of
from providers.infobip_items import Posted, content_of, items_of, keyword_of
from providers.numbers import to_sender
from providers.proof import (
    URL_SECRET,
    accepted,
    hex_signature,
    is_secret,
    require_basic,
    require_header,
    require_url_secret,
    secrets_in_url,
    with_url_secret,
)
from providers.times import epoch_millis, iso_millis
from schemas.numbering import user_id_of
from schemas.records import InboundMessage, LinkClick, RawCallback, Receipt


class Infobip:
    """The provider `infobip`."""

    name = "infobip"
    methods = frozenset({"POST"})
    behind_path_secret = False
    answer_within: float | None = None  # Infobip retries for 41 hours
    max_body_bytes = LARGE_BODY
    credentials: tuple[str, ...] = ("username", "password", "header_name", "header_value", "secret")
    secrets: frozenset[str] = frozenset({"password", "header_value", "secret"})
    proof_headers: frozenset[str] = frozenset({"x-hub-signature"})
    codes: Codes | None = Codes(infobip_codes.unknown_code, infobip_codes.parted)
    sent_details: frozenset[str] = frozenset({"PENDING_WAITING_DELIVERY", "PENDING_ENROUTE"})
    # https://www.infobip.com/docs/essentials/api-essentials/response-status-and-error-codes: (5,12), (5,17)
    billing_details: frozenset[str] = frozenset({"REJECTED_NOT_ENOUGH_CREDITS", "REJECTED_PREPAID_PACKAGE_EXPIRED"})
    has_zoneless_times = False
    texts_answers = False

    def verify(self, request: CallbackRequest, credentials: Mapping[str, str]) -> None:
        """Check HTTP Basic, a fixed header, and a secret in the URL or as HMAC key: each one that is set must be right.

        If none is set, every callback passes. Infobip documents neither the header of its HMAC nor the signed bytes;
        this follows what an integrator has seen (`_is_signed`). Raises NotAuthentic with the codes of
        `providers.proof`, `unknown_algorithm`, or `wrong_signature`.
        """
        require_basic(request, credentials)
        require_header(request, credentials)
        require_url_secret(request, credentials, is_signed=_is_signed(request, credentials))

    def prove(self, request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
        """Add what the account has of HTTP Basic, the fixed header, and the secret in the URL."""
        headers = dict(request.headers)
        if credentials.get("username"):
            pair = f"{credentials['username']}:{credentials.get('password', '')}"
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        if credentials.get("header_name"):
            headers[credentials["header_name"].lower()] = credentials.get("header_value", "")
        return with_url_secret(replace(request, headers=headers), credentials)

    @within_bounds
    def read(self, callback: RawCallback) -> list[Item]:
        """Read each item by its fields: `status` or `seenAt` makes it a report, a writer and content make it a reply.

        Opt-outs that Infobip itself reports (the blocklist, WhatsApp's marketing switch) have the kind `opt_out`. Other
        events are Malformed, `not_supported`.
        """
        return [_read_item(callback, index, posted) for index, posted in enumerate(items_of(callback))]

    def answer(self, request: CallbackRequest) -> Answer:
        """Return an empty body. Infobip looks only at the status."""
        return Answer()


PROVIDER: Provider = Infobip()


_SIGNATURE = "x-hub-signature"
_ALGORITHMS = ("sha1", "sha224", "sha256", "sha384", "sha512")
_CLICK = "CLICKED"
_BLOCKED: Mapping[tuple[str, str], str] = {
    ("UNBLOCK", "MO"): "opt_in",
    **{("BLOCK", source): "opt_out" for source in ("MO", "URL_OPT_OUT", "CAMPAIGN", "CUSTOM", "")},
}
"""Blocklist event and its source -> message kind. Unless the person took the number off the list by a message, the
person was not asked."""
_MARKETING: Mapping[str, str] = {"stop": "opt_out", "resume": "opt_in"}
"""State of WhatsApp's marketing switch -> message kind."""
_CONSENT: Mapping[str, str] = {"UNSUBSCRIBE": "opt_out", "SUBSCRIBE": "opt_in"}
"""Messenger consent event -> message kind."""
_SWITCH = "notificationMessagesStatus"
_CONTENTS = ("text", "cleanText", "message", "content", "receivedAt")
_CONTENTS_ALONE = ("text", "message")
_SILENT = ("TYPING_", "RCS_", "CONVERSATION_")
"""Prefixes of known events that concern no message or opt-out."""
_OTHERS = ("change", "capabilityCheckResult")
"""Fields of notices about the sender's own templates and tests."""


def _is_signed(request: CallbackRequest, credentials: Mapping[str, str]) -> bool:
    """Whether `X-Hub-Signature` proves the request: `SHA256=` and the hex HMAC of the raw body under `secret`.

    If the URL has the secret, the header is ignored: it may be made with another key, which this account was never
    given.
    """
    given, secrets = request.headers.get(_SIGNATURE), accepted(credentials, URL_SECRET)
    if given is None or not secrets or secrets_in_url(request):
        return False
    written, _, digest = given.partition("=")
    algorithm = written.strip().lower()
    if algorithm not in _ALGORITHMS:
        known = ", ".join(_ALGORITHMS)
        raise NotAuthentic("unknown_algorithm", f"X-Hub-Signature uses {written[:40]!r}; supported are {known}")
    if not is_secret(digest.strip().lower(), [hex_signature(key, request.body, algorithm) for key in secrets]):
        raise NotAuthentic("wrong_signature", "X-Hub-Signature does not match")
    return True


def _read_item(callback: RawCallback, index: int, posted: Posted) -> Item:
    try:
        if not isinstance(posted.value, dict):
            raise BadItem("wrong_type", f"{posted.where} is not an object")
        return _read_object(callback, index, posted)
    except BadItem as bad:
        return Malformed(bad.reason, str(bad), posted.raw)


def _read_object(callback: RawCallback, index: int, posted: Posted) -> Item:
    if posted.has("status"):
        return _report(callback, index, posted)
    if not posted.where and posted["notificationType"] is not None:
        return _click(callback, index, posted)
    event = posted.event
    if event in ("BLOCK", "UNBLOCK"):
        return _block(callback, index, posted)
    if event in _CONSENT:
        return _consent(callback, index, posted)
    if _SWITCH in mapping(posted["content"]):
        return _marketing(callback, index, posted)
    if posted.has("seenAt") or event == "SEEN":
        return _seen(callback, index, posted)
    contents = _CONTENTS if posted.where else _CONTENTS_ALONE
    is_message = event in ("", "MO") and any(posted[field] is not None for field in contents)
    if is_message and any(posted[field] is not None for field in ("from", "sender")):
        return _reply(callback, index, posted)
    if event not in ("", "MO", "DELIVERY"):
        reason = NOT_SUPPORTED if event.startswith(_SILENT) else "unknown_event"
        raise BadItem(reason, f"{posted.named('event')} is {event[:40]!r}, which produces no event")
    if any(posted[field] is not None for field in _OTHERS) or (not posted.where and posted["content"] is not None):
        raise BadItem("not_supported", "the notice concerns no message and no opt-out, so it produces no event")
    raise BadItem("missing_field", f"{posted.named('status')} is missing, and the item is not a reply either")


def _report(callback: RawCallback, index: int, posted: Posted) -> Receipt:
    status = posted["status"]
    if not isinstance(status, dict):
        raise BadItem("wrong_type", f"{posted.named('status')} is not an object")
    error = mapping(posted["error"])
    group = group_of(status)
    if group is None:
        unknown = text(status.get("groupName")) or text(status.get("groupId")) or text(status.get("name"))
        raise BadItem("unknown_status", f"{posted.named('status')} has an unknown group: {unknown[:40]!r}")
    meaning = meaning_of(group, status, error)
    error_id = integer(error.get("id"))
    error_text = text(error.get("description")) if error_id != 0 else ""
    value, price = posted.value, mapping(posted["price"])
    return Receipt(
        **origin(callback, index),
        **meaning.outcome(),
        provider_message_id=_message_id(posted),
        sender_reference=text(value.get("callbackData")) or None,
        to=_recipient(posted),
        from_=posted.party("sender", "from") or None,
        provider_status=text(status.get("name")).strip() or text(status.get("groupName")).strip() or meaning.detail,
        provider_code=_code(group, integer(status.get("id")), error_id),
        provider_text=error_text or text(status.get("description")) or None,
        occurred_at=iso_millis(value.get("doneAt")),
        parts=count(posted.first("messageCount", "smsCount")),
        price=decimal(price.get("pricePerMessage")),
        currency=currency(price.get("currency")),
        network=_network(posted),
        raw=posted.raw,
        channel=posted.channel.lower() or None,
        user_id=posted.user_id("to", "destination"),
    )


def _seen(callback: RawCallback, index: int, posted: Posted) -> Receipt:
    """Read a report that the recipient saw the message. Channels other than SMS and MMS send it."""
    return Receipt(
        **origin(callback, index),
        **READ.outcome(),
        provider_message_id=_message_id(posted),
        sender_reference=text(posted["callbackData"]) or None,
        to=_recipient(posted),
        from_=posted.party("sender", "from") or None,
        provider_status="SEEN",
        occurred_at=iso_millis(posted["seenAt"]),
        raw=posted.raw,
        channel=posted.channel.lower() or None,
        user_id=posted.user_id("to", "destination"),
    )


def _reply(callback: RawCallback, index: int, posted: Posted) -> InboundMessage:
    people = posted.people("from", "sender")
    if not people:
        raise BadItem("missing_field", f"{posted.named('from')} is missing")
    content = content_of(posted)
    keyword = keyword_of(posted, content)
    return InboundMessage(
        **origin(callback, index),
        provider_message_id=text(posted["messageId"]) or None,
        in_reply_to=text(posted["pairedMessageId"]) or None,
        from_=people[0],
        to=posted.party("to", "destination") or None,
        text=content.text,
        media=content.media,
        keyword=chosen(content.payloads) or keyword or None,
        occurred_at=iso_millis(posted["receivedAt"]),
        raw=posted.raw,
        channel=posted.channel.lower() or None,
        user_id=posted.user_id("from", "sender"),
    )


def _block(callback: RawCallback, index: int, posted: Posted) -> InboundMessage:
    """Read a notice that a number was added to, or removed from, the account's blocklist."""
    content = mapping(posted["content"])
    source = text(content.get("sourceType")).strip().upper()
    kind = _BLOCKED.get((posted.event, source), "opt_out" if posted.event == "BLOCK" else None)
    if kind is None:
        raise BadItem("not_supported", f"UNBLOCK by {source[:40]!r} is not the recipient's wish; only one by MO is")
    if text(content.get("channel")).strip().upper() == "EMAIL":
        raise BadItem(OTHER_CHANNEL, f"{posted.named('content.channel')} is EMAIL")
    recipient = to_sender(text(content.get("destination")))
    if not recipient:
        raise BadItem("missing_field", f"{posted.named('content.destination')} is missing")
    reference = mapping(content.get("outboundMessageReference"))
    return InboundMessage(
        **origin(callback, index),
        provider_message_id=text(posted["messageId"]) or None,
        in_reply_to=text(reference.get("outboundMessageId")) or None,
        from_=recipient,
        to=to_sender(text(content.get("sender"))) or None,
        kind=kind,
        keyword=source or posted.event,
        occurred_at=iso_millis(posted["receivedAt"]),
        raw=posted.raw,
        channel=text(content.get("channel")).strip().lower() or None,
        user_id=user_id_of(recipient),
    )


def _marketing(callback: RawCallback, index: int, posted: Posted) -> InboundMessage:
    """Read WhatsApp's own switch: the person stops or resumes this sender's marketing messages."""
    content = mapping(posted["content"])
    state = text(content.get(_SWITCH)).strip().lower()
    if state not in _MARKETING:
        raise BadItem("unknown_status", f"{posted.named('content')}.{_SWITCH} is unknown: {state[:40]!r}")
    recipient = to_sender(text(content.get("from"))) or to_sender(text(content.get("userId")))
    if not recipient:
        raise BadItem("missing_field", f"{posted.named('content.from')} is missing")
    return InboundMessage(
        **origin(callback, index),
        from_=recipient,
        to=to_sender(text(content.get("sender")) or text(posted["from"])) or None,
        kind=_MARKETING[state],
        keyword=state.upper(),
        occurred_at=iso_millis(posted["createdAt"]),
        raw=posted.raw,
        channel="whatsapp",
        user_id=text(content.get("userId")).strip() or user_id_of(recipient),
    )


def _consent(callback: RawCallback, index: int, posted: Posted) -> InboundMessage:
    """Read Messenger's consent: a person agreed to a page's marketing messages, or withdrew. Without `from`, the person
    is the `sender`, as in replies."""
    is_messenger = posted.has("from")
    person, to = posted.party("from" if is_messenger else "sender"), "sender" if is_messenger else "to"
    if not person:
        raise BadItem("missing_field", f"{posted.named('from')} is missing")
    return InboundMessage(
        **origin(callback, index),
        from_=person,
        to=posted.party(to) or None,
        kind=_CONSENT[posted.event],
        keyword=posted.event,
        occurred_at=iso_millis(posted.first("createdAt", "receivedAt")),
        raw=posted.raw,
        channel=posted.channel.lower() or "messenger",
    )


def _click(callback: RawCallback, index: int, posted: Posted) -> LinkClick:
    kind = text(posted["notificationType"])
    if kind != _CLICK:
        raise BadItem("not_supported", f"notificationType is {kind[:40]!r}; only {_CLICK} produces an event")
    return LinkClick(
        **origin(callback, index),
        provider_message_id=text(posted["messageId"]) or None,
        to=number(text(posted["recipient"]), "recipient"),
        url=text(posted["url"]) or None,
        occurred_at=epoch_millis(posted["sendDateTime"]),
        raw=posted.raw,
    )


def _network(posted: Posted) -> str | None:
    """Return the network's code; None also for the word null, which stands for an invalid number."""
    network = posted.first("mccMnc", "mccmnc")
    return None if network in ("", "null") else network


def _message_id(posted: Posted) -> str:
    message_id = text(posted["messageId"])
    if not message_id:
        raise BadItem("missing_field", f"{posted.named('messageId')} is missing")
    return message_id


def _recipient(posted: Posted) -> str | None:
    """Return a report's recipient; None if it has no number, as in reports about invalid numbers."""
    for each in posted.people("to", "destination"):
        if each.startswith("+") or number_or_none(each) == each:
            return each
    return None


def _code(group: int, status_id: int | None, error_id: int | None) -> str:
    """Return `group,id`, or only `group`, plus `/error id` if there is an error: `3,5`, `2,4/603`."""
    code = str(group) if status_id is None else f"{group},{status_id}"
    return f"{code}/{error_id}" if error_id else code
