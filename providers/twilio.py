"""Twilio: status callbacks and inbound messages, one a request, as form fields.

https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
https://www.twilio.com/docs/messaging/guides/webhook-request
What each status and error code means here stands in `data/twilio.json`. `I-Twilio-Idempotency-Token` marks an
attempt and is not read: a callback that comes twice has the same message id and status, and changes nothing.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl

from providers.base import Answer, CallbackRequest, Item, Malformed, NotAuthentic, Unreadable
from providers.bodies import Form, is_json, read_form
from providers.fields import BadItem, count, number, origin, unambiguous
from providers.meanings import Meaning, meanings, tables
from providers.numbers import to_sender
from providers.proof import accepted, is_secret, refuse_path_secret, sha1_signature
from providers.times import done_date_millis
from schemas.records import InboundMessage, RawCallback, Receipt


class Twilio:
    """Provider `twilio`."""

    name = "twilio"
    methods = frozenset({"POST", "GET"})
    behind_path_secret = False
    credentials: tuple[str, ...] = ("auth_token",)

    def verify(self, request: CallbackRequest, credentials: Mapping[str, str]) -> None:
        """`X-Twilio-Signature` with `auth_token`. Without a token nothing passes.

        https://www.twilio.com/docs/usage/security#validating-requests. Codes: `no_credentials`,
        `missing_signature`, `wrong_signature`.
        """
        refuse_path_secret(request)
        tokens = accepted(credentials, "auth_token")
        if not tokens:
            raise NotAuthentic("no_credentials", "the account has no auth_token")
        given = request.headers.get("x-twilio-signature")
        if not given:
            raise NotAuthentic("missing_signature", "X-Twilio-Signature is missing")
        try:
            parameters = _signed_parameters(request)
            signed = [(url + parameters).encode() for url in _signed_urls(request.url)]
        except ValueError:
            raise NotAuthentic("wrong_signature", "what is signed is UTF-8, and the request is not") from None
        if not is_secret(given, [sha1_signature(token, each) for token in tokens for each in signed]):
            raise NotAuthentic("wrong_signature", "X-Twilio-Signature does not match")

    def read(self, callback: RawCallback) -> list[Item]:
        """One report where there is a status other than received, else one inbound message."""
        form = _form(callback)
        try:
            fields = unambiguous(form.pairs, _DECIDING_FIELDS)
            if _is_report(fields):
                return [_report(callback, fields, form.raw)]
            if _is_message(fields):
                return [_message(callback, fields, form.raw)]
        except BadItem as bad:
            return [Malformed(bad.reason, str(bad), form.raw)]
        raise Unreadable("missing_field", "MessageStatus is missing, and so are Body and media of a message")

    def answer(self, request: CallbackRequest) -> Answer:
        """Empty TwiML for a message, so that Twilio sends no reply; nothing for a status callback."""
        try:
            fields = dict(read_form(request, errors="strict").pairs)
        except ValueError:
            return Answer()
        return Answer(b"<Response/>", "text/xml") if _is_message(fields) else Answer()


MIN_BASE64 = 60
"""Characters from which a body may be base64. Shorter ones are words: STOP and START are base64 too."""

_TABLES = tables("twilio")
_STATUSES = meanings(_TABLES["statuses"], "name")
_ERRORS: Mapping[str, Mapping[str, str]] = {str(row["code"]): row for row in _TABLES["errors"]}
_FAILED = frozenset({"undelivered", "failed"})
_INBOUND = frozenset({"receiving", "received"})
_IDS = ("MessageSid", "SmsSid", "SmsMessageSid")
_CONTENT = ("Body", "NumMedia", "MediaUrl0")
_KIND_OF_OPT_OUT_TYPE: Mapping[str, str] = {"STOP": "opt_out", "START": "opt_in"}
_OTHER_FIELDS = ("MessageStatus", "SmsStatus", "ErrorCode", "From", "To", "OptOutType", "RawDlrDoneDate")
_DECIDING_FIELDS = frozenset((*_IDS, *_CONTENT, *_OTHER_FIELDS))
_URL = re.compile(r"(https?)://([^/?#@]*@)?(\[[^\]/?#]*\]|[^/?#:@]*)(:[0-9]+)?([^#]*)(?:#.*)?", re.I | re.S).fullmatch
_base64 = re.compile(r"(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?").fullmatch
_BODY_HASH = re.compile(r"[?&]bodySHA256=([^&#]*)").search
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


def _report(callback: RawCallback, fields: Mapping[str, str], raw: str) -> Receipt:
    message_id = _message_id(fields)
    if not message_id:
        raise BadItem("missing_field", "MessageSid is missing")
    status, code = _status(fields), fields.get("ErrorCode", "").strip()
    meaning = _STATUSES.get(status)
    if meaning is None:
        raise BadItem("unknown_status", f"MessageStatus is unknown: {status[:40]!r}")
    error = _ERRORS.get(code) if status in _FAILED else None
    to = fields.get("To", "").strip()
    own_text = fields.get("ErrorMessage") or fields.get("ChannelStatusMessage")
    return Receipt(
        **origin(callback, 0),
        **_refined(meaning, error).outcome(),
        provider_message_id=message_id,
        to=number(to, "To") if to else None,
        from_=to_sender(fields.get("From", "")) or None,
        provider_status=status,
        provider_code=code if code not in ("", "0") else None,
        provider_text=own_text or (error["text"] if error else None),
        occurred_at=done_date_millis(fields.get("RawDlrDoneDate")),
        parts=count(fields.get("NumSegments")),
        raw=raw,
    )


def _refined(meaning: Meaning, error: Mapping[str, str] | None) -> Meaning:
    """The error code of a failed message says more than its status."""
    return replace(meaning, detail=error["detail"], status_class=error["class"]) if error else meaning


def _message(callback: RawCallback, fields: Mapping[str, str], raw: str) -> InboundMessage:
    sender = to_sender(fields.get("From", ""))
    if not sender:
        raise BadItem("missing_field", "From is missing")
    body = fields.get("Body")
    text = None if body is None else _plain(body)
    opt_out_type = fields.get("OptOutType", "").strip().upper()
    kind = _KIND_OF_OPT_OUT_TYPE.get(opt_out_type, "reply")
    return InboundMessage(
        **origin(callback, 0),
        provider_message_id=_message_id(fields) or None,
        # Twilio names the answered message on WhatsApp only.
        in_reply_to=fields.get("OriginalRepliedMessageSid") or None,
        from_=sender,
        to=to_sender(fields.get("To", "")) or None,
        text=text,
        media=tuple(_media(fields)),
        kind=kind,
        keyword=None if kind == "reply" else (text or "").strip() or opt_out_type,
        raw=raw,
    )


def _plain(body: str) -> str:
    """The text of a body that is base64, as Twilio has been seen to send messages of several parts; else the body.

    Taken for base64 is what is long, of that alphabet only, and gives printable UTF-8: no sentence does. The last
    character may be cut in two, and is left out then.
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
    """MessageStatus, or its older name SmsStatus, in lower case; "" where there is none."""
    return (fields.get("MessageStatus") or fields.get("SmsStatus") or "").strip().lower()


def _message_id(fields: Mapping[str, str]) -> str:
    return next((value for name in _IDS if (value := fields.get(name, "").strip())), "")


def _media(fields: Mapping[str, str]) -> Iterable[str]:
    index = 0
    while url := fields.get(f"MediaUrl{index}"):
        yield url
        index += 1


def _form(callback: RawCallback) -> Form:
    """The form fields. What is signed is UTF-8, so that anything else has been refused, unless it is declared."""
    if callback.method != "GET" and is_json(callback):
        raise Unreadable("not_supported", "the body is JSON; Twilio's messaging webhooks are form fields")
    try:
        return read_form(callback, errors="strict")
    except ValueError:
        raise Unreadable("not_utf8", "the form fields are not UTF-8") from None


def _signed_parameters(request: CallbackRequest) -> str:
    """What Twilio appends to the URL: every name and value, decoded, sorted, each pair once, no separators.

    A GET has its parameters in the URL, and a JSON body its hash, in `bodySHA256`: nothing is appended.
    """
    if request.method == "GET":
        return ""
    body_hash = _BODY_HASH(request.url)
    if body_hash:
        actual = hashlib.sha256(request.body).hexdigest()
        if not is_secret(body_hash[1].lower(), [actual]):
            raise NotAuthentic("wrong_signature", "bodySHA256 is not the hash of the body")
        return ""
    pairs = parse_qsl(request.body.decode(), keep_blank_values=True, errors="strict")
    return "".join(name + value for name, value in sorted(set(pairs)))


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
