"""Normalizes phone numbers to the one form trackly stores: E.164, with short codes unchanged.

https://www.itu.int/rec/T-REC-E.164: a plus, then at most 15 digits that begin with a country code.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import phonenumbers

from schemas.numbering import canonical, without_trunk_prefix

_digits = re.compile(r"\+?([1-9][0-9]{6,14})").fullmatch
# Fast path for most numbers, where no digit can be a trunk prefix: no zero among the first digits, no 1 in North
# America, and not Argentina with its inner 15.
_PLAIN = "(?:1[2-9][0-9]{2}|[2-46-9][1-9]{3}|5[1-35-9][1-9]{2})[0-9]{3,11}"
_bare = re.compile(_PLAIN).fullmatch
_e164 = re.compile(rf"\+{_PLAIN}").fullmatch
_dialed = re.compile(r"011([1-9][0-9]{9,14})").fullmatch
_stored = re.compile(r"\+[1-9][0-9]{6,14}|[1-9][0-9]{2,}").fullmatch
_north_american = re.compile(r"\+[2-9][0-9]{2}[2-9][0-9]{6}").fullmatch
_national = re.compile(r"[2-9][0-9]{2}[2-9][0-9]{6}").fullmatch
_prefixed = re.compile(r"\s*(?:[a-z]+:\s*)?\(?(?:\+|00|011)").match
_dialable = re.compile(r"[0-9]{7,17}").fullmatch
_short_code = re.compile(r"[0-9]{3,6}").fullmatch
# An opening parenthesis before the first digit, without a plus, begins a national number of unknown country.
_written = re.compile(r"(?:\(?\+\(?)?[0-9][0-9 ().\-/\u00a0\u2010-\u2015]{5,38}").fullmatch
# Messenger's and Viber's addresses are user ids, also digits; only one with a plus is a number.
_channel = re.compile(r"(?:whatsapp|rcs|sms|tel):|(?:messenger|viber):(?=\s*\+)", re.I).match
_named_channel = re.compile(r"\s*(rcs|whatsapp|messenger|viber):", re.I).match
_not_digits = re.compile(r"[^0-9]+")
_punctuation = re.compile(r"[ ().\-/\u00a0\u2010-\u2015]+")
_extension = re.compile(r"[\s;,]*(?:extension|ext|x|#)[\s.=:]*[0-9]{1,7}$", re.I)
# Zero-width spaces, direction marks, and the like, which come along when a number is copied.
_invisible = re.compile(r"[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")


class NotANumber(ValueError):
    """The text is neither a phone number nor a short code. The message omits the text, because it may end up in a
    log."""

    def __init__(self, text: str) -> None:
        super().__init__("not a phone number")
        self.text = text


def to_number(text: str) -> str:
    """Return an international number in E.164; plus, channel prefix, and punctuation are optional.

    7 to 15 bare digits are taken as international, and so are digits after 00, and after 011 if such a number may
    exist. A trunk prefix is dropped. Short codes (3 to 6 digits) stay unchanged. Raises NotANumber.
    """
    if _bare(text):
        return "+" + text
    if _e164(text):
        return text
    return _unusual(text)


def to_sender(text: str) -> str:
    """Like `to_number`, but anything else (an alphanumeric sender, a channel's user id) is returned unchanged."""
    try:
        return to_number(text)
    except NotANumber:
        return text.strip()


def is_unclear(person: str) -> bool:
    """Whether what `to_sender` returned for a person is a phone number after all: one without its country, or with an
    extension. Channels' IDs have letters, or only digits, the first of which is not a zero."""
    if _stored(person):
        # Ten digits may lack North America's 1. That is certain only if no country has such numbers.
        return _north_american(person) is not None and not _has_ten_digits(person[1:4])
    number = _extension.sub("", unicodedata.normalize("NFKC", person))
    digits = _punctuation.sub("", number.lstrip("+"))
    return _dialable(digits) is not None and (digits.startswith("0") or digits != person)


def may_lack_country(written: str) -> bool:
    """Whether a number, written by somebody who need not write international numbers, may lack North America's 1."""
    return as_north_american(written) is not None


def as_north_american(written: str) -> str | None:
    """Return the North American number in E.164 that ten digits without a plus or a dialing prefix may be, as people
    there write their own numbers; None if it cannot be one."""
    digits = without_punctuation(_bare_number(written))
    return f"+1{digits}" if _national(digits) else None


def is_international(written: str) -> bool:
    """Whether a number begins with a plus, 00, or 011, possibly behind a channel."""
    return _prefixed(written) is not None


@cache
def _has_ten_digits(beginning: str) -> bool:
    """Whether the country of numbers with these first three digits has numbers of ten digits, its code included."""
    codes = (int(beginning[:size]) for size in (1, 2, 3))
    code = next((each for each in codes if each in phonenumbers.COUNTRY_CODE_TO_REGION_CODE), None)
    if code is None:
        return False
    length = 10 - len(str(code))
    return phonenumbers.is_possible_number(
        phonenumbers.PhoneNumber(country_code=code, national_number=int("2" * length))
    )


def without_punctuation(number: str) -> str:
    """Return a number without blanks, parentheses, dots, dashes, and slashes."""
    return _punctuation.sub("", number)


def channel_of(address: str) -> str | None:
    """Return the channel prefix of an address, as in rcs:acme_agent; None without one."""
    found = _named_channel(address)
    return found[1].lower() if found else None


def _bare_number(text: str) -> str:
    """Return a number without channel and invisible characters."""
    bare = _invisible.sub("", text).strip()
    prefix = _channel(bare)
    return bare[prefix.end() :].lstrip() if prefix else bare


def _unusual(text: str) -> str:
    bare = _bare_number(text)
    found = _digits(bare)
    if found:
        return without_trunk_prefix("+" + found[1])
    if _short_code(bare):
        return bare
    if not _written(bare):
        raise NotANumber(text)
    digits = _not_digits.sub("", bare)
    dialed = _dialed(digits)
    international = "+" + (dialed[1] if dialed else digits.removeprefix("00"))
    if _digits(international) and canonical(international) != international:
        # Another spelling of a number that phonenumbers may no longer know.
        return without_trunk_prefix(international)
    try:
        number = phonenumbers.parse(international)
    except phonenumbers.NumberParseException:
        raise NotANumber(text) from None
    formatted = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not phonenumbers.is_possible_number(number) or not _digits(formatted):
        raise NotANumber(text)
    # Some national numbers also begin with 011, such as those of Buenos Aires and Leeds.
    if dialed and not phonenumbers.is_valid_number(number):
        raise NotANumber(text)
    return formatted
