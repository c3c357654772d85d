"""Twilio: status callbacks and inbound messages, one a request, as form fields.

https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
https://www.twilio.com/docs/messaging/guides/webhook-request
What each status and error code means here stands in `data/twilio.json`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from urllib.parse import parse_qsl

import orjson

from providers.base import Answer, CallbackRequest, Item, Malformed, NotAuthentic, Unreadable
from providers.numbers import NotANumber, to_number, to_sender
from providers.times import done_date_millis
from schemas.ids import derived_id
from schemas.records import InboundMessage, RawCallback, Receipt


class Twilio:
    """Provider `twilio`."""

    name = "twilio"
    methods = frozenset({"POST", "GET"})
    behind_path_secret = False

    def verify(self, request: CallbackRequest, credentials: Mapping[str, str]) -> None:
        """`X-Twilio-Signature` with `auth_token`, or with `auth_token_previous` while the token is changed.

        https://www.twilio.com/docs/usage/security#validating-requests. Without a token nothing passes. Codes:
        `no_credentials`, `missing_signature`, `wrong_signature`.
        """
        tokens = [token for key in _TOKENS if (token := credentials.get(key))]
        if not tokens:
            raise NotAuthentic("no_credentials", "the account has no auth_token")
        signature = request.headers.get("x-twilio-signature")
        if not signature:
            raise NotAuthentic("missing_signature", "X-Twilio-Signature is missing")
        try:
            given = signature.encode()
            keys = [token.encode() for token in tokens]
            parameters = _signed_parameters(request)
            signed = [(url + parameters).encode() for url in _signed_urls(request.url)]
        except ValueError:
            raise NotAuthentic("wrong_signature", "what is signed is UTF-8, and the request is not") from None
        for key in keys:
            for text in signed:
                expected = base64.b64encode(hmac.digest(key, text, "sha1"))
                if hmac.compare_digest(expected, given):
                    return
        raise NotAuthentic("wrong_signature", "X-Twilio-Signature does not match")

    def read(self, callback: RawCallback) -> list[Item]:
        """One report where there is a status other than received, else one inbound message."""
        raw, pairs = _form(callback)
        fields = dict(pairs)
        try:
            if len(fields) < len(pairs):
                _refuse_ambiguous(pairs)
            if _is_report(fields):
                return [_report(callback, fields, raw)]
            if _is_message(fields):
                return [_message(callback, fields, raw)]
        except _Bad as bad:
            return [Malformed(bad.reason, str(bad), raw)]
        raise Unreadable("missing_field", "MessageStatus is missing, and so are Body and media of a message")

    def answer(self, request: CallbackRequest) -> Answer:
        """Empty TwiML for a message, so that Twilio sends no reply; nothing for a status callback."""
        try:
            fields = dict(_pairs(request.query if request.method == "GET" else request.body.decode()))
        except ValueError:
            return Answer()
        return Answer(b"<Response/>", "text/xml") if _is_message(fields) else Answer()


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a message status means here."""

    status: str
    detail: str
    status_class: str
    final: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """What an error code means here, with Twilio's own text."""

    detail: str
    status_class: str
    text: str


_TOKENS = ("auth_token", "auth_token_previous")
_DATA = orjson.loads(resources.files(__package__).joinpath("data/twilio.json").read_bytes())
_STATUSES: Mapping[str, Meaning] = {
    row["name"]: Meaning(row["status"], row["detail"], row["class"], row["final"]) for row in _DATA["statuses"]
}
_FAILURES: Mapping[str, Failure] = {
    str(row["code"]): Failure(row["detail"], row["class"], row["text"]) for row in _DATA["errors"]
}
_FAILED = frozenset({"undelivered", "failed"})
_INBOUND = frozenset({"receiving", "received"})
_IDS = ("MessageSid", "SmsSid", "SmsMessageSid")
_CONTENT = ("Body", "NumMedia", "MediaUrl0")
_KIND_OF_OPT_OUT_TYPE: Mapping[str, str] = {"STOP": "opt_out", "START": "opt_in"}
_DECIDING_FIELDS = frozenset(
    {
        *_IDS,
        *_CONTENT,
        "MessageStatus",
        "SmsStatus",
        "ErrorCode",
        "From",
        "To",
        "OptOutType",
        "RawDlrDoneDate",
    }
)
_URL = re.compile(r"(https?)://([^/?#@]*@)?(\[[^\]/?#]*\]|[^/?#:@]*)(:[0-9]+)?([^#]*)(?:#.*)?", re.I | re.S).fullmatch
_BODY_HASH = re.compile(r"[?&]bodySHA256=([^&#]*)").search
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


class _Bad(Exception):
    """A callback that cannot be read."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason


def _report(callback: RawCallback, fields: Mapping[str, str], raw: str) -> Receipt:
    message_id = _message_id(fields)
    if not message_id:
        raise _Bad("missing_field", "MessageSid is missing")
    status = _status(fields)
    meaning = _STATUSES.get(status)
    if meaning is None:
        raise _Bad("unknown_status", f"MessageStatus is unknown: {status[:40]!r}")
    to = fields.get("To", "").strip()
    try:
        number = to_number(to) if to else None
    except NotANumber:
        raise _Bad("invalid_number", "To is not a phone number") from None
    code = fields.get("ErrorCode", "").strip()
    failure = _FAILURES.get(code) if status in _FAILED else None
    own_text = fields.get("ErrorMessage") or fields.get("ChannelStatusMessage")
    return Receipt(
        event_id=derived_id(callback.event_id, 0),
        account=callback.account,
        provider=callback.provider,
        provider_message_id=message_id,
        to=number,
        from_=to_sender(fields.get("From", "")) or None,
        status=meaning.status,
        status_detail=failure.detail if failure else meaning.detail,
        status_class=failure.status_class if failure else meaning.status_class,
        provider_status=status,
        provider_code=code if code not in ("", "0") else None,
        provider_text=own_text or (failure.text if failure else None),
        final=meaning.final,
        occurred_at=done_date_millis(fields.get("RawDlrDoneDate")),
        received_at=callback.received_at,
        parts=_count(fields.get("NumSegments", "")),
        raw=raw,
    )


def _message(callback: RawCallback, fields: Mapping[str, str], raw: str) -> InboundMessage:
    sender = to_sender(fields.get("From", ""))
    if not sender:
        raise _Bad("missing_field", "From is missing")
    text = fields.get("Body")
    opt_out_type = fields.get("OptOutType", "").strip().upper()
    kind = _KIND_OF_OPT_OUT_TYPE.get(opt_out_type, "reply")
    return InboundMessage(
        event_id=derived_id(callback.event_id, 0),
        account=callback.account,
        provider=callback.provider,
        provider_message_id=_message_id(fields) or None,
        # Twilio names the answered message on WhatsApp only.
        in_reply_to=fields.get("OriginalRepliedMessageSid") or None,
        from_=sender,
        to=to_sender(fields.get("To", "")) or None,
        text=text,
        media=tuple(_media(fields)),
        kind=kind,
        keyword=None if kind == "reply" else (text or "").strip() or opt_out_type,
        received_at=callback.received_at,
        raw=raw,
    )


def _is_report(fields: Mapping[str, str]) -> bool:
    status = _status(fields)
    return bool(status) and status not in _INBOUND


def _is_message(fields: Mapping[str, str]) -> bool:
    return not _is_report(fields) and (bool(_status(fields)) or any(name in fields for name in _CONTENT))


def _status(fields: Mapping[str, str]) -> str:
    """MessageStatus, or its older name SmsStatus, in lower case; "" where there is none."""
    return (fields.get("MessageStatus") or fields.get("SmsStatus") or "").strip().lower()


def _message_id(fields: Mapping[str, str]) -> str:
    return next((value for name in _IDS if (value := fields.get(name, "").strip())), "")


def _media(fields: Mapping[str, str]) -> Iterable[str]:
    index = 0
    while url := fields.get(f"MediaUrl{index}"):
        yield url
        index += 1


def _count(text: str) -> int | None:
    return int(text) if len(text) <= 9 and text.isascii() and text.isdigit() else None


def _form(callback: RawCallback) -> tuple[str, list[tuple[str, str]]]:
    """The form as text and as pairs: of a GET the query, else the body."""
    if callback.method != "GET" and "json" in (callback.content_type or "").lower():
        raise Unreadable("not_supported", "the body is JSON; Twilio's messaging webhooks are form fields")
    try:
        raw = callback.query if callback.method == "GET" else callback.body.decode()
        pairs = _pairs(raw)
    except ValueError:
        raise Unreadable("not_utf8", "the form fields are not UTF-8") from None
    if not raw.strip() or not pairs:
        raise Unreadable("missing_field", "MessageStatus is missing: there are no form fields")
    return raw, pairs


def _pairs(form: str) -> list[tuple[str, str]]:
    """Names and values in order, blank ones too. Raises ValueError for what is not UTF-8."""
    return parse_qsl(form, keep_blank_values=True, errors="strict")


def _refuse_ambiguous(pairs: Iterable[tuple[str, str]]) -> None:
    """Raises when a field that decides something has two different values: neither may be preferred."""
    first: dict[str, str] = {}
    for name, value in pairs:
        if first.setdefault(name, value) != value and name in _DECIDING_FIELDS:
            raise _Bad("ambiguous_field", f"{name} is given twice with different values")


def _signed_parameters(request: CallbackRequest) -> str:
    """What Twilio appends to the URL: every name and value, decoded, sorted, each pair once, no separators.

    A GET has its parameters in the URL, and a JSON body its hash, in `bodySHA256`: nothing is appended.
    """
    if request.method == "GET":
        return ""
    body_hash = _BODY_HASH(request.url)
    if body_hash:
        actual = hashlib.sha256(request.body).hexdigest()
        if not hmac.compare_digest(actual.encode(), body_hash[1].lower().encode()):
            raise NotAuthentic("wrong_signature", "bodySHA256 is not the hash of the body")
        return ""
    return "".join(name + value for name, value in sorted(set(_pairs(request.body.decode()))))


def _signed_urls(url: str) -> list[str]:
    """The spellings under which Twilio may have signed this URL.

    It signs with or without the port, standard ports too, whatever the URL says; an apostrophe in the query
    as %27; and never the fragment, which holds connection overrides.
    """
    parts = _URL(url)
    if parts is None:
        return [url]
    scheme, user, host, port, rest = parts.groups(default="")
    path, mark, query = rest.partition("?")
    rests = dict.fromkeys((rest, path + mark + query.replace("'", "%27")))
    ports = ("", port or _DEFAULT_PORTS[scheme.lower()])
    return [f"{scheme}://{user}{host}{each}{tail}" for tail in rests for each in ports]
