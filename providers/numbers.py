"""Phone numbers as providers write them, to the one form that trackly keeps: E.164, short codes as they are.

https://www.itu.int/rec/T-REC-E.164: a plus, then at most 15 digits that begin with a country code.
"""

from __future__ import annotations

import re

import phonenumbers

from schemas.numbering import canonical, without_trunk_prefix

_digits = re.compile(r"\+?([1-9][0-9]{6,14})").fullmatch
# Nothing in these may be a trunk prefix: no zero among the first digits, no 1 in North America, and not Argentina with
# its 15 within. Most numbers are of this kind.
_PLAIN = "(?:1[2-9][0-9]{2}|[2-46-9][1-9]{3}|5[1-35-9][1-9]{2})[0-9]{3,11}"
_bare = re.compile(_PLAIN).fullmatch
_e164 = re.compile(rf"\+{_PLAIN}").fullmatch
_dialed = re.compile(r"011([1-9][0-9]{9,14})").fullmatch
_short_code = re.compile(r"[0-9]{3,6}").fullmatch
# An opening bracket before the first digit, without a plus, begins a national number: its country is unknown.
_written = re.compile(r"(?:\(?\+\(?)?[0-9][0-9 ().\-/\u00a0\u2010-\u2015]{5,38}").fullmatch
# Messenger addresses are page-scoped user ids, digits too; only with a plus is it a number.
_channel = re.compile(r"(?:whatsapp|rcs):|messenger:(?=\s*\+)").match
_named_channel = re.compile(r"\s*(rcs|whatsapp|messenger|viber):", re.I).match
_not_digits = re.compile(r"[^0-9]+")


class NotANumber(ValueError):
    """The text is neither a phone number nor a short code. The message leaves the text out, as logs must."""

    def __init__(self, text: str) -> None:
        super().__init__("not a phone number")
        self.text = text


def to_number(text: str) -> str:
    """E.164 form of an international number, with or without plus, channel prefix or punctuation.

    7 to 15 bare digits are taken as international, as are those behind 00, and those behind 011 if such a number may
    exist. A trunk prefix goes. Short codes (3 to 6 digits) stay as they are. Raises NotANumber.
    """
    if _bare(text):
        return "+" + text
    if _e164(text):
        return text
    return _unusual(text)


def to_sender(text: str) -> str:
    """As `to_number`, but what is not a number (an alphanumeric sender, a channel's user id) stays as it is."""
    try:
        return to_number(text)
    except NotANumber:
        return text.strip()


def channel_of(address: str) -> str | None:
    """The channel that an address names before it, as in rcs:acme_agent; None where it names none."""
    found = _named_channel(address)
    return found[1].lower() if found else None


def _unusual(text: str) -> str:
    bare = text.strip()
    prefix = _channel(bare)
    if prefix:
        bare = bare[prefix.end() :].lstrip()
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
        # Another spelling of a number, which phonenumbers may not know any more.
        return without_trunk_prefix(international)
    try:
        number = phonenumbers.parse(international)
    except phonenumbers.NumberParseException:
        raise NotANumber(text) from None
    formatted = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not phonenumbers.is_possible_number(number) or not _digits(formatted):
        raise NotANumber(text)
    # National numbers begin with 011 too, such as those of Buenos Aires and Leeds.
    if dialed and not phonenumbers.is_valid_number(number):
        raise NotANumber(text)
    return formatted
