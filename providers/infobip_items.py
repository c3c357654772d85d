"""One item of a body of Infobip's: its fields in every dialect, and the content of a reply.

What an item means is in `providers.infobip`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from msgspec import Struct

from providers import xml
from providers.base import Unreadable
from providers.bodies import is_xml, json_text, json_value
from providers.fields import bounded, mapping, text
from providers.numbers import to_sender
from schemas.numbering import user_id_of
from schemas.records import RawCallback

_OTHER_IDS = frozenset(
    {
        "APPLE_BC",
        "APPLE_MB",
        "FACEBOOK",
        "INSTAGRAM",
        "INSTAGRAM_DM",
        "LINE",
        "LIVE_CHAT",
        "MESSENGER",
        "OPEN_CHANNEL",
        "TELEGRAM",
        "TIKTOK",
    }
)
"""Channels that identify people by ids of their own (possibly digits), not phone numbers."""
_NOTICES = ("notificationType", "content", "event", "status", "change", "capabilityCheckResult")
"""Fields that mark a body without results as a single notice."""
_WORDS = ("text", "cleanText", "caption", "title", "message")
_PAYLOADS = ("payload", "postbackData", "identifier")
_CHOICES = ("quickReplySelectedItem", "listPickerSelectedItems")
"""Fields with the chosen items of Apple's messages."""
_TOKENS = ("flow_token", "flowToken")
"""Fields of a WhatsApp flow that the person did not fill in."""
_EMOJI_GONE = "REMOVED"


class Posted(Struct, frozen=True, dict=True):
    """One item of a body, as text and as a value. `where` is its position; a notice is the whole body and has none."""

    raw: str
    value: Any
    where: str = ""

    def __getitem__(self, field: str) -> Any:
        """Return the value of a field, or None."""
        return self.value.get(field)

    def has(self, field: str) -> bool:
        """Whether a field is neither missing nor empty; XML writes null as an empty element."""
        return self[field] not in (None, "")

    def first(self, *fields: str) -> str:
        """Return the text of the first of these fields that has one, or ""."""
        for field in fields:
            value = self.value.get(field)
            if value is not None and (found := text(value).strip()):
                return found
        return ""

    def named(self, field: str) -> str:
        """Return the name of a field with its position, for errors."""
        return f"{self.where}.{field}" if self.where else field

    @property
    def event(self) -> str:
        """Return the item's declared event, given as a word or as the `type` of an object; "" if it declares none."""
        event = self["event"]
        return text(event.get("type") if isinstance(event, dict) else event).strip().upper()

    def people(self, *fields: str) -> list[str]:
        """Return candidates from the first of these fields and the `contact`: numbers first, then other ids.

        A channel's user id may replace the number, with the number beside it.
        """
        party, contact = self.party(*fields), mapping(self["contact"])
        if not contact:
            return [party] if party else []
        others = (to_sender(text(contact.get(field))) for field in ("phoneNumber", "userId"))
        found = [each for each in (party, *others) if each]
        return sorted(found, key=lambda each: not each.startswith("+"))

    def user_id(self, *fields: str) -> str | None:
        """Return the channel's id for the person in these fields and the `contact`, or None."""
        written = self.first(*fields)
        named = text(mapping(self["contact"]).get("userId")).strip() or user_id_of(written)
        return named or (written if self.channel in _OTHER_IDS else None) or None

    @cached_property
    def channel(self) -> str:
        """Return the channel in upper case, or ""."""
        return self.first("channel", "integrationType").upper()

    def party(self, *fields: str) -> str:
        """Return the party in the first of these fields: a number in E.164, a name or id unchanged, "" for nobody."""
        written = self.first(*fields)
        if not written or self.channel in _OTHER_IDS:
            return written
        return to_sender(written)


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a reply. `payloads` are the sender's, of what was tapped, and the answers in a flow."""

    text: str | None
    media: tuple[str, ...] = ()
    payloads: tuple[str, ...] = ()


def items_of(callback: RawCallback) -> list[Posted]:
    """Return the items of a body. Raises Unreadable when it has neither results nor a single notice."""
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
    if results is None and any(body.get(field) is not None for field in _NOTICES):
        return [Posted(json_text(body), body)]
    if not isinstance(results, list):
        raise Unreadable("missing_field", "results is missing" if results is None else "results is not a list")
    return [Posted(json_text(each), each, f"results[{n}]") for n, each in enumerate(bounded(results))]


def content_of(posted: Posted) -> Content:
    """Return the parts of a reply: texts, captions, and answers joined by line breaks, media URLs, and the payloads of
    what was tapped."""
    parts = [part for field in ("message", "content") for part in _parts(posted[field])]
    media = tuple(url for part in parts if part.get("type") != "LOCATION" and (url := text(part.get("url"))))
    payloads = tuple(each for part in parts for each in (_payload(part), *(answer for _, answer in _answers(part))))
    own = (text(posted[field]) for field in ("text", "cleanText"))
    texts = list(filter(str.strip, own))[:1] or [words for part in parts for words in _words(part)]
    if not texts and isinstance(posted["text"], str):
        texts = [posted["text"]]
    return Content("\n".join(texts) if texts else None, media, payloads)


def keyword_of(posted: Posted, content: Content) -> str:
    """Return the sender's keyword with which a text begins; "" if it does not.

    In an SMS without a text it stands for the text, from which Infobip took it. RCS names one beside a file too, where
    the person wrote none.
    """
    is_sms = posted.channel in ("", "SMS") and posted["message"] is None
    parts = (part for field in ("message", "content") for part in _parts(posted[field]))
    named = [found for each in (posted.value, *parts) if (found := text(each.get("keyword")).strip())]
    begins = (content.text or "").strip().casefold()
    if is_sms and not begins and not content.media:
        return next(iter(named), "")
    return next((each for each in named if begins.startswith(each.casefold())), "")


def _parts(value: Any) -> list[dict[str, Any]]:
    """Return the parts of a content, objects or strings. A single part may come without a list."""
    items = [{"text": each} if isinstance(each, str) else mapping(each) for each in _listed(value)]
    # A live chat repeats earlier messages next to the new one.
    parts = [mapping(each.get("inboundMessage")) or each for each in items]
    choices = (mapping(each) for part in parts for field in _CHOICES for each in _listed(part.get(field)))
    return [*parts, *choices]


def _words(part: Mapping[str, Any]) -> list[str]:
    """Return what a person wrote or tapped: an MMS segment, a text, a caption, a button title, an emoji, the answers in
    a flow."""
    segment: object = part.get("value")
    if isinstance(segment, str):
        kind = text(part.get("contentType")).strip().lower()
        return [segment] if kind.startswith("text/plain") or not kind else []
    names = _WORDS if part.get("action") == _EMOJI_GONE else (*_WORDS, "emoji")
    strings = _strings(part, names)
    written = [next(filter(str.strip, strings), strings[0])] if strings else []
    return [*written, *(f"{name}: {value}" for name, value in _answers(part))]


def _answers(part: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a person's answers in a WhatsApp flow, by field."""
    named = [(name, each) for name, value in mapping(part.get("response")).items() for each in _listed(value)]
    return [(name, each) for name, each in named if isinstance(each, str) and each and name not in _TOKENS]


def _payload(part: Mapping[str, Any]) -> str:
    is_choice = text(part.get("type")).upper().endswith("_REPLY")
    return next(filter(None, map(str.strip, _strings(part, (*_PAYLOADS, "id") if is_choice else _PAYLOADS))), "")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _strings(part: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [found for name in names if isinstance(found := part.get(name), str)]
