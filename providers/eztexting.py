"""EZ Texting: inbound messages and keyword opt-ins, one per request. It has no webhook for delivery reports.

https://developers.eztexting.com/docs/webhooks-1. Events come in two shapes: the live one (`id`, `received`), and that
of https://ab-ez-new-docs.pages.dev/docs/webhooks (`eventId`, `receivedAt` or `occurredAt`, `contact`). Older accounts
forward form fields: `PhoneNumber` and `Message` of a keyword, `from` and `message` of a reply, by POST or in the query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from providers.base import (
    BEFORE_IT_IS_LOST,
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
from providers.bodies import Form, is_json, json_object, read_form
from providers.bounds import within_bounds
from providers.fields import BadItem, mapping, origin, text, unambiguous
from providers.numbers import to_sender, without_punctuation
from providers.proof import PATH_SECRET, accepted, is_secret, sha1_signature
from providers.times import iso_millis
from schemas.ids import derived_id
from schemas.records import InboundMessage, RawCallback

SIGNATURE, REQUIRED = "signature", "required"
"""A setting among an account's credentials, and its only value."""


class EzTexting:
    """The provider `eztexting`."""

    name = "eztexting"
    methods = frozenset({"POST", "GET"})
    behind_path_secret = True
    answer_within: float | None = BEFORE_IT_IS_LOST  # its retry period is undocumented
    max_body_bytes = SMALL_BODY
    credentials: tuple[str, ...] = (PATH_SECRET, "secret", SIGNATURE)
    secrets: frozenset[str] = frozenset({PATH_SECRET, "secret"})
    proof_headers: frozenset[str] = frozenset({"x-signature"})
    codes: Codes | None = None
    sent_details: frozenset[str] = frozenset()
    billing_details: frozenset[str] = frozenset()
    has_zoneless_times = False
    texts_answers = True

    def verify(self, request: CallbackRequest, credentials: Mapping[str, str]) -> None:
        """Check `X-Signature`, the base64 HMAC-SHA1 of the raw body under `secret`, if both are present.

        Live accounts with a secret have been seen to send no signature, so a callback without one passes: ingest has
        already checked the secret in its path. A signature that the account has no secret for cannot be checked, and
        passes too. If `signature` is `required`, neither passes. Raises NotAuthentic: `wrong_signature`,
        `missing_signature`, `no_credentials`.
        """
        signature, secrets = request.headers.get("x-signature"), accepted(credentials, "secret")
        if signature is None or not secrets:
            if credentials.get(SIGNATURE) != REQUIRED:
                return
            if not secrets:
                raise NotAuthentic("no_credentials", "a signature is required, but the account has no secret for it")
            raise NotAuthentic("missing_signature", "X-Signature is missing")
        if not is_secret(signature, [sha1_signature(secret, request.body) for secret in secrets]):
            raise NotAuthentic("wrong_signature", "X-Signature does not match")

    def prove(self, request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
        """Add `X-Signature`, if the account has a secret for it."""
        secret = credentials.get("secret")
        if not secret:
            return request
        return replace(request, headers={**request.headers, "x-signature": sha1_signature(secret, request.body)})

    @within_bounds
    def read(self, callback: RawCallback) -> list[Item]:
        """Read one inbound message. `contact.created` and other types produce no event: `not_supported`."""
        try:
            if callback.method != "GET" and callback.body.strip() and is_json(callback):
                event, raw = json_object(callback)
                return [_read_event(callback, event, raw)]
            form = _form(callback)
            raw = form.raw
            if any(name in _EVENT_FIELDS for name, _ in form.pairs):
                fields = unambiguous(form.pairs, _EVENT_FIELDS)
                return [_read_event(callback, {"type": _INBOUND, **fields}, raw)]
            return [_read_form(callback, form)]
        except BadItem as bad:
            return [Malformed(bad.reason, str(bad), raw)]

    def answer(self, request: CallbackRequest) -> Answer:
        """Return an empty body. EZ Texting looks only at the status."""
        return Answer()


PROVIDER: Provider = EzTexting()


_INBOUND = "inbound_text.received"
_OPT_IN = "keyword.opt_in"
_TIMES = ("received", "receivedAt", "occurredAt")
_FORM_SENDERS = ("PhoneNumber", "from")
_FORM_TEXTS = ("Message", "message")
_EVENT_FIELDS = frozenset({"type", "fromNumber", "optOut"})
"""Fields of an event that was sent as form fields."""
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1", "1.0"})
_national = re.compile(r"[2-9][0-9]{9}").fullmatch


def _read_event(callback: RawCallback, event: dict[str, Any], raw: str) -> InboundMessage:
    event_type = text(event.get("type")).strip()
    if not event_type:
        raise Unreadable("missing_field", "type is missing")
    if event_type not in (_INBOUND, _OPT_IN):
        raise Unreadable("not_supported", f"type {event_type[:40]!r} produces no event")
    sender = _sender(event)
    if not sender:
        raise BadItem("missing_field", "fromNumber is missing")
    message = event.get("message")
    words = text(message) if isinstance(message, str | int) else None
    kind = _kind(event_type, event)
    keyword = text(event.get("keyword")).strip() or (words or "").strip()
    occurred_at = next((time for name in _TIMES if (time := iso_millis(event.get(name))) is not None), None)
    return InboundMessage(
        **origin(callback, 0),
        provider_message_id=_message_id(event, event_type, sender, occurred_at),
        # This is the id of the answered message: two replies to it share the id.
        in_reply_to=text(event.get("id")) or None,
        from_=sender,
        to=_number(text(event.get("toNumber"))) or None,
        text=words,
        kind=kind,
        keyword=None if kind == "reply" else keyword or None,
        # EZ Texting confirms opt-outs and answers opt-in keywords itself.
        answered_by_provider=None if kind == "reply" else True,
        occurred_at=occurred_at,
        raw=raw,
    )


def _form(callback: RawCallback) -> Form:
    """Return the fields of the body, or of the query if the body has no known ones."""
    known = {*_FORM_SENDERS, *_FORM_TEXTS, *_EVENT_FIELDS}
    forms = (read_form(callback), read_form(replace(callback, body=b"")))
    return next((form for form in forms if any(name in known for name, _ in form.pairs)), forms[0])


def _read_form(callback: RawCallback, form: Form) -> InboundMessage:
    """Read the older forward. It has no id, time, or recipient, so a repeated post looks like a new reply."""
    fields = unambiguous(form.pairs, _FORM_SENDERS + _FORM_TEXTS)
    if not any(name in fields for name in _FORM_SENDERS + _FORM_TEXTS):
        raise Unreadable("not_json", "the body is neither JSON nor a form with PhoneNumber or from")
    sender = next((number for name in _FORM_SENDERS if (number := _number(fields.get(name, "")))), "")
    if not sender:
        raise BadItem("missing_field", "PhoneNumber is missing, and so is from")
    if not any(name in fields for name in _FORM_TEXTS):
        raise BadItem("missing_field", "Message is missing, and so is message")
    return InboundMessage(
        **origin(callback, 0),
        from_=sender,
        text=next((words for name in _FORM_TEXTS if (words := fields.get(name))), ""),
        raw=form.raw,
    )


def _kind(event_type: str, event: Mapping[str, Any]) -> str:
    """Return the kind of message. `optOut` wins. `contact.optOut` is ignored: it is the contact's state, not what the
    person wrote."""
    if _may_be_true(event.get("optOut")):
        return "opt_out"
    return "opt_in" if event_type == _OPT_IN or _is_true(event.get("optIn")) else "reply"


def _sender(event: Mapping[str, Any]) -> str:
    named = (event, "fromNumber"), (event, "phoneNumber"), (mapping(event.get("contact")), "phoneNumber")
    return next((number for place, name in named if (number := _number(text(place.get(name))))), "")


def _message_id(event: Mapping[str, Any], event_type: str, sender: str, occurred_at: int | None) -> str | None:
    """Return the event's own id, or one made of type, sender, and time; None without a time.

    The type is included because a keyword arrives as a message and as an opt-in with the same time.
    """
    event_id = text(event.get("eventId"))
    if event_id or occurred_at is None:
        return event_id or None
    return derived_id(event_type, sender, occurred_at)


def _number(written: str) -> str:
    """Like `to_sender`, but ten digits are a +1 number: EZ Texting works there, and forms leave out the 1."""
    digits = without_punctuation(written.strip())
    return to_sender(f"1{digits}" if _national(digits) else written)


def _is_true(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def _may_be_true(value: Any) -> bool:
    """Whether a flag is true in whatever form, because nobody must be texted after an opt-out."""
    text = str(value).strip().lower() if isinstance(value, str | int | float) else ""
    return text in _TRUE
