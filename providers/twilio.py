"""Twilio: status callbacks and inbound messages, one per request, as form fields; events of Event Streams, as JSON.

https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
https://www.twilio.com/docs/messaging/guides/webhook-request
https://www.twilio.com/docs/events/event-types-overview

`data/twilio.json` says what each status and error code means here. `I-Twilio-Idempotency-Token` marks an attempt and is
not read: a callback that comes twice has the same message id and status, and changes nothing.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote

from msgspec.structs import replace

from providers.base import (
    BEFORE_IT_IS_LOST,
    MAX_FIELDS,
    SMALL_BODY,
    Answer,
    CallbackRequest,
    Codes,
    Item,
    Malformed,
    NotAuthentic,
    Provider,
    Unreadable,
)
from providers.bodies import Form, is_json, json_text, json_value, read_form
from providers.bounds import within_bounds
from providers.fields import BadItem, bounded, chosen, count, mapping, number, number_or_none, origin, text, unambiguous
from providers.meanings import Meaning, faults_of_senders, meanings, tables
from providers.numbers import channel_of, to_sender
from providers.proof import accepted, base64_signature, is_secret, refuse_path_secret, sha1_signature
from providers.times import done_date_millis, iso_millis
from schemas.numbering import user_id_of
from schemas.records import REASSIGNED, InboundMessage, LinkClick, RawCallback, Receipt


def _unknown_code(_status: str, code: str | None) -> str | None:
    return None if code is None or code in _ERRORS else code


class Twilio:
    """The provider `twilio`."""

    name = "twilio"
    methods = frozenset({"POST", "GET"})
    behind_path_secret = False
    answer_within: float | None = BEFORE_IT_IS_LOST  # Twilio retries once, immediately
    max_body_bytes = SMALL_BODY
    credentials: tuple[str, ...] = ("auth_token", "shared_key")
    secrets: frozenset[str] = frozenset({"auth_token", "shared_key"})
    proof_headers: frozenset[str] = frozenset({"x-twilio-signature"})
    codes: Codes | None = Codes(_unknown_code)
    sent_details: frozenset[str] = frozenset({"SENDING", "SENT"})
    # https://www.twilio.com/docs/api/errors/30002
    billing_details: frozenset[str] = frozenset({"ACCOUNT_SUSPENDED"})
    has_zoneless_times = True
    texts_answers = False

    def verify(self, request: CallbackRequest, credentials: Mapping[str, str]) -> None:
        """Check `X-Twilio-Signature` with `auth_token`, or with `shared_key` if Twilio says so. An unsigned callback
        never passes.

        https://www.twilio.com/docs/usage/security#validating-requests
        https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys: the signed text is the same; a header names the
        algorithm.
        Raises NotAuthentic: `no_credentials`, `missing_signature`, `wrong_signature`, `unknown_algorithm`,
        `too_many_fields`.
        """
        refuse_path_secret(request)
        name, algorithm = _key_and_algorithm(request.headers.get("x-twilio-webhooks-signature-settings"))
        keys = accepted(credentials, name)
        if not keys:
            raise NotAuthentic("no_credentials", f"the account has no {name}")
        given = request.headers.get("x-twilio-signature")
        if not given:
            raise NotAuthentic("missing_signature", "X-Twilio-Signature is missing")
        try:
            parameters = _signed_parameters(request)
            spellings = [each for url in (request.url, *request.other_urls) for each in _signed_urls(url)]
            signed = [(url + parameters).encode() for url in spellings]
        except ValueError:
            raise NotAuthentic("wrong_signature", "a signed request must be UTF-8, and this one is not") from None
        if not is_secret(given, [base64_signature(key, each, algorithm) for key in keys for each in signed]):
            raise NotAuthentic("wrong_signature", "X-Twilio-Signature does not match")

    def prove(self, request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
        """Add the `X-Twilio-Signature` of a form, made with `auth_token` or else `shared_key`."""
        pairs = sorted(set(parse_qsl(request.body.decode(), keep_blank_values=True)))
        signed = request.url + "".join(name + value for name, value in pairs)
        shared = credentials.get("shared_key") if "auth_token" not in credentials else None
        if shared is None:
            signature = sha1_signature(credentials.get("auth_token", ""), signed.encode())
            return replace(request, headers={**request.headers, "x-twilio-signature": signature})
        headers = {
            "x-twilio-signature": base64_signature(shared, signed.encode(), "sha256"),
            "x-twilio-webhooks-signature-settings": "key=trackly,algorithm=HMAC_SHA256",
        }
        return replace(request, headers={**request.headers, **headers})

    @within_bounds
    def read(self, callback: RawCallback) -> list[Item]:
        """Read one report if there is a status other than received, or else one inbound message.

        JSON is one Event Streams event, or a list of them.
        """
        if callback.method != "GET" and is_json(callback):
            return [_read_event(callback, index, event) for index, event in enumerate(_events(callback))]
        form = _form(callback)
        try:
            fields = unambiguous(form.pairs, _DECIDING_FIELDS)
            if _is_report(fields):
                return [_report(callback, 0, fields, form.raw)]
            if _is_message(fields):
                return [_message(callback, 0, fields, form.raw)]
        except BadItem as bad:
            return [Malformed(bad.reason, str(bad), form.raw)]
        raise Unreadable("missing_field", "MessageStatus is missing, and so are Body and media of a message")

    def answer(self, request: CallbackRequest) -> Answer:
        """Return empty TwiML for a message, so that Twilio sends no reply; an empty body for a status callback."""
        try:
            fields = dict(read_form(request, errors="strict").pairs)
        except (ValueError, Unreadable):
            return Answer()
        return Answer(b"<Response/>", "text/xml") if _is_message(fields) else Answer()


PROVIDER: Provider = Twilio()


MIN_BASE64 = 60
"""Minimum characters of a base64 body. Shorter ones are words: STOP and START are valid base64 too."""

_TABLES = tables("twilio")
_STATUSES = meanings(_TABLES["statuses"], "name")
_ERRORS: Mapping[str, Mapping[str, str]] = {str(row["code"]): row for row in _TABLES["errors"]}
_is_fault_of_sender = faults_of_senders(_TABLES["faults_of_senders"])
_FAILED = frozenset({"undelivered", "failed"})
_INBOUND = frozenset({"receiving", "received"})
_IDS = ("MessageSid", "SmsSid", "SmsMessageSid")
_PAYLOADS = ("ButtonPayload", "ListId")
_LABELS = ("ButtonText", "ListTitle")
"""What a tapped button or a chosen item shows. Usually the body repeats it."""
_CONTENT = ("Body", "NumMedia", "MediaUrl0")
_KIND_OF_OPT_OUT_TYPE: Mapping[str, str] = {"STOP": "opt_out", "START": "opt_in"}
_OTHER_FIELDS = (
    "MessageStatus",
    "SmsStatus",
    "ErrorCode",
    "From",
    "To",
    "OptOutType",
    *_PAYLOADS,
    *_LABELS,
    "RawDlrDoneDate",
)
_DECIDING_FIELDS = frozenset((*_IDS, *_CONTENT, *_OTHER_FIELDS))
_bare = partial(re.compile("%(?:3A|40)", re.I).sub, lambda found: unquote(found[0]))
_URL = re.compile(r"(https?)://([^/?#@]*@)?(\[[^\]/?#]*\]|[^/?#:@]*)(:[0-9]+)?([^#]*)(?:#.*)?", re.I | re.S).fullmatch
_base64 = re.compile(r"(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?").fullmatch
_BODY_HASH = re.compile(r"[?&]bodySHA256=([^&#]*)").search
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
_ALGORITHMS: Mapping[str, str] = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


def _report(
    callback: RawCallback, index: int, fields: Mapping[str, str], raw: str, occurred_at: int | None = None
) -> Receipt:
    message_id = _message_id(fields)
    if not message_id:
        raise BadItem("missing_field", "MessageSid is missing")
    status, code = _status(fields), fields.get("ErrorCode", "").strip()
    meaning = _STATUSES.get(status)
    if meaning is None:
        raise BadItem("unknown_status", f"MessageStatus is unknown: {status[:40]!r}")
    error = _ERRORS.get(code) if status in _FAILED else None
    if status in _FAILED:
        meaning = _refined(meaning, code, error)
    own_text = fields.get("ErrorMessage") or fields.get("ChannelStatusMessage")
    return Receipt(
        **origin(callback, index),
        **meaning.outcome(),
        provider_message_id=message_id,
        to=number_or_none(fields.get("To", "")),
        from_=to_sender(fields.get("From", "")) or None,
        provider_status=status,
        provider_code=code if code not in ("", "0") else None,
        provider_text=own_text or (error["text"] if error else None),
        occurred_at=occurred_at or done_date_millis(fields.get("RawDlrDoneDate")),
        parts=count(fields.get("NumSegments")),
        raw=raw,
        channel=_channel(fields),
        user_id=_user_id(fields, "To"),
    )


def _refined(meaning: Meaning, code: str, error: Mapping[str, str] | None) -> Meaning:
    """Refine a failure by its error code, which is more specific than the status; an unknown code is judged by its
    range."""
    if error is not None:
        return replace(meaning, detail=error["detail"], status_class=error["class"])
    is_known_fault = code.isascii() and code.isdigit() and len(code) < 10 and _is_fault_of_sender(int(code))
    return replace(meaning, status_class="neutral") if is_known_fault else meaning


def _message(
    callback: RawCallback, index: int, fields: Mapping[str, str], raw: str, occurred_at: int | None = None
) -> InboundMessage:
    user_id = _user_id(fields, "From")
    sender = to_sender(fields.get("From", ""))
    if not sender:
        raise BadItem("missing_field", "From is missing")
    body = fields.get("Body")
    words = None if body is None else _plain(body)
    if not (words or "").strip():
        words = next(filter(None, map(fields.get, _LABELS)), words)
    opt_out_type = fields.get("OptOutType", "").strip().upper()
    kind = _KIND_OF_OPT_OUT_TYPE.get(opt_out_type, "reply")
    return InboundMessage(
        **origin(callback, index),
        provider_message_id=_message_id(fields) or None,
        # Twilio names the answered message on WhatsApp only.
        in_reply_to=fields.get("OriginalRepliedMessageSid") or None,
        from_=sender,
        to=to_sender(fields.get("To", "")) or None,
        text=words,
        media=tuple(_media(fields)),
        kind=kind,
        # The sender's payload of the tapped button, or its id of the item of a list, says what the person chose.
        keyword=chosen(map(fields.get, _PAYLOADS)) if kind == "reply" else (words or "").strip() or opt_out_type,
        # Advanced Opt-Out reports the keywords it answered, HELP included.
        answered_by_provider=True if opt_out_type else None,
        occurred_at=occurred_at,
        raw=raw,
        channel=_channel(fields),
        user_id=user_id,
    )


def _channel(fields: Mapping[str, str]) -> str | None:
    return channel_of(fields.get("To", "")) or channel_of(fields.get("From", ""))


def _user_id(fields: Mapping[str, str], party: str) -> str | None:
    """Return a person's WhatsApp id, given beside the number or in its place."""
    return user_id_of(fields.get("ExternalUserId", "")) or user_id_of(fields.get(party, ""))


def _plain(body: str) -> str:
    """Return the text of a base64 body, or else the body. Twilio has been seen to send multipart messages this way.

    A body counts as base64 if it is long, uses only that alphabet, and decodes to printable UTF-8, which no sentence
    does. The last character may be cut in two; it is then dropped.
    """
    bare = body.strip()
    if len(bare) < MIN_BASE64 or not _base64(bare):
        return body
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(base64.b64decode(bare, validate=True))
    except ValueError:
        return body
    return text if all(c.isprintable() or c in "\r\n\t" for c in text) else body


def _is_report(fields: Mapping[str, str]) -> bool:
    status = _status(fields)
    return bool(status) and status not in _INBOUND


def _is_message(fields: Mapping[str, str]) -> bool:
    return not _is_report(fields) and (bool(_status(fields)) or any(name in fields for name in _CONTENT))


def _status(fields: Mapping[str, str]) -> str:
    """Return MessageStatus, or its older name SmsStatus, in lower case; "" if missing."""
    return (fields.get("MessageStatus") or fields.get("SmsStatus") or "").strip().lower()


def _message_id(fields: Mapping[str, str]) -> str:
    return next((value for name in _IDS if (value := fields.get(name, "").strip())), "")


def _media(fields: Mapping[str, str]) -> Iterable[str]:
    index = 0
    while url := fields.get(f"MediaUrl{index}"):
        yield url
        index += 1


def _form(callback: RawCallback) -> Form:
    """Return the form fields. What is signed is UTF-8; anything else has been refused, unless its charset is
    declared."""
    try:
        return read_form(callback, errors="strict")
    except ValueError:
        raise Unreadable("not_utf8", "the form fields are not UTF-8") from None


# Event Streams

_STATUS_EVENT = "com.twilio.messaging.message."
_INBOUND_EVENT = "com.twilio.messaging.inbound-message.received"
_REASSIGNED_EVENT = "com.twilio.messaging.reassigned-number.detected"
_CLICK_EVENT = "com.twilio.daptbt.link-shortening.link-clicked"
_FORM_NAMES: Mapping[str, str] = {
    "messageSid": "MessageSid",
    "messageStatus": "MessageStatus",
    "errorCode": "ErrorCode",
    "from": "From",
    "to": "To",
    "numberOfSegments": "NumSegments",
    "rawDlrDoneDate": "RawDlrDoneDate",
    "body": "Body",
    "numMedia": "NumMedia",
    "optOutType": "OptOutType",
}
"""Field of an event about a message -> its name in a form."""


def _events(callback: RawCallback) -> list[Any]:
    """Return the events of a JSON body: CloudEvents, one or a list."""
    body = json_value(callback)
    if isinstance(body, list):
        return list(bounded(body))
    if not isinstance(body, dict) or "type" not in body:
        raise Unreadable("not_supported", "the JSON body has no type, so it is not an Event Streams event")
    return [body]


def _read_event(callback: RawCallback, index: int, event: Any) -> Item:
    raw = json_text(event)
    try:
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            raise BadItem("not_supported", "the item has no type, so it is not an Event Streams event")
        return _event(callback, index, event["type"], mapping(event.get("data")), raw)
    except BadItem as bad:
        return Malformed(bad.reason, str(bad), raw)


def _event(callback: RawCallback, index: int, kind: str, data: Mapping[str, Any], raw: str) -> Item:
    at = next((time for name in ("timestamp", "click_time") if (time := iso_millis(data.get(name))) is not None), None)
    fields = {name: text(data[key]) for key, name in _FORM_NAMES.items() if data.get(key) is not None}
    if kind.startswith(_STATUS_EVENT):
        return _report(callback, index, {"MessageStatus": kind.removeprefix(_STATUS_EVENT), **fields}, raw, at)
    if kind == _INBOUND_EVENT:
        return _message(callback, index, fields, raw, at)
    if kind == _CLICK_EVENT:
        return LinkClick(
            **origin(callback, index),
            provider_message_id=text(data.get("message_sid")) or None,
            to=number(text(data.get("to")), "data.to"),
            url=text(data.get("link")) or None,
            occurred_at=at,
            raw=raw,
        )
    if kind == _REASSIGNED_EVENT and data.get("is_reassigned") is not False:
        # The number's new owner has agreed to nothing: treat it like an opt-out of every list, which START undoes.
        return InboundMessage(
            **origin(callback, index),
            provider_message_id=text(data.get("event_id")) or None,
            from_=number(text(data.get("to_number")), "data.to_number"),
            to=to_sender(text(data.get("from_number"))) or None,
            kind="opt_out",
            keyword=REASSIGNED,
            occurred_at=at,
            raw=raw,
        )
    raise BadItem("not_supported", f"type {kind[:80]!r} produces no event")


# The signature


def _key_and_algorithm(settings: str | None) -> tuple[str, str]:
    """Return the name of the signing credential and of the hash. `settings` is `key=ID,algorithm=HMAC_SHA256`, or
    missing.

    Only a shared key has an algorithm of its own: the header must never choose one for the auth token.
    """
    if settings is None:
        return "auth_token", "sha1"
    pairs = [part.partition("=") for part in settings.split(",")]
    named = {value.strip().upper() for name, _, value in pairs if name.strip().lower() == "algorithm"}
    algorithm = _ALGORITHMS.get(next(iter(named), "")) if len(named) == 1 else None
    if algorithm is None:
        shown = ", ".join(sorted(named))[:40] or "none"
        known = ", ".join(_ALGORITHMS)
        raise NotAuthentic("unknown_algorithm", f"the signature uses algorithm {shown!r}; supported are {known}")
    return "shared_key", algorithm


def _signed_parameters(request: CallbackRequest) -> str:
    """Return the text that Twilio appends to the URL: all names and values, decoded, sorted, deduplicated, no
    separators.

    For a GET and for JSON nothing is appended: a GET has its parameters in the URL, and a JSON body is covered by its
    hash, `bodySHA256`.
    """
    if request.method == "GET":
        return ""
    body_hash = _BODY_HASH(request.url)
    if body_hash:
        actual = hashlib.sha256(request.body).hexdigest()
        if not is_secret(body_hash[1].lower(), [actual]):
            raise NotAuthentic("wrong_signature", "bodySHA256 is not the hash of the body")
        return ""
    if request.body.count(b"&") >= MAX_FIELDS:
        raise NotAuthentic("too_many_fields", f"the signed request has more than {MAX_FIELDS:,} fields")
    pairs = parse_qsl(request.body.decode(), keep_blank_values=True, errors="strict")
    return "".join(name + value for name, value in sorted(set(pairs)))


def _signed_urls(url: str) -> list[str]:
    """Return the spellings of this URL that Twilio may have signed.

    It signs with or without the port, even a standard one, whatever the URL says; an apostrophe in the query as %27; a
    colon and an at sign in it bare, where the request encodes them (`whatsapp%3A%2B1...`); and never the fragment,
    which holds connection overrides.
    """
    parts = _URL(url)
    if parts is None:
        return [url]
    scheme, user, host, port, rest = parts.groups(default="")
    path, mark, query = rest.partition("?")
    quoted = query.replace("'", "%27")
    rests = dict.fromkeys((rest, path + mark + quoted, path + mark + _bare(query), path + mark + _bare(quoted)))
    ports = ("", port or _DEFAULT_PORTS[scheme.lower()])
    return [f"{scheme}://{user}{host}{each}{tail}" for tail in rests for each in ports]
