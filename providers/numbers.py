"""Phone numbers as providers write them, to the one form that trackly keeps: E.164, short codes as they are.

https://www.itu.int/rec/T-REC-E.164: a plus, then at most 15 digits that begin with a country code.
"""

from __future__ import annotations

import re

import phonenumbers

_international = re.compile(r"\+?([1-9][0-9]{6,14})").fullmatch
_short_code = re.compile(r"[0-9]{3,6}").fullmatch
# An opening bracket before the first digit, without a plus, begins a national number: its country is unknown.
_written = re.compile(r"(?:\(?\+\(?)?[0-9][0-9 ().\-/\u00a0\u2010-\u2015]{5,38}").fullmatch
# Messenger addresses are page-scoped user ids, digits too; only with a plus is it a number.
_channel = re.compile(r"(?:whatsapp|rcs):|messenger:(?=\s*\+)").match
_not_digits = re.compile(r"[^0-9]+")


class NotANumber(ValueError):
    """The text is no phone number and no short code. The message leaves the text out, as logs must."""

    def __init__(self, text: str) -> None:
        super().__init__("not a phone number")
        self.text = text


def to_number(text: str) -> str:
    """E.164 form of an international number, with or without plus, channel prefix or punctuation.

    7 to 15 bare digits are taken as international. Short codes (3 to 6 digits) stay as they are.
    Raises NotANumber.
    """
    found = _international(text)
    if found:
        return "+" + found[1]
    return _unusual(text)


def to_sender(text: str) -> str:
    """As `to_number`, but what is no number (an alphanumeric sender, a channel's user id) stays as it is."""
    try:
        return to_number(text)
    except NotANumber:
        return text.strip()


def _unusual(text: str) -> str:
    bare = text.strip()
    prefix = _channel(bare)
    if prefix:
        bare = bare[prefix.end() :].lstrip()
    found = _international(bare)
    if found:
        return "+" + found[1]
    if _short_code(bare):
        return bare
    if not _written(bare):
        raise NotANumber(text)
    digits = _not_digits.sub("", bare)
    try:
        number = phonenumbers.parse("+" + digits.removeprefix("00"))
    except phonenumbers.NumberParseException:
        raise NotANumber(text) from None
    formatted = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not phonenumbers.is_possible_number(number) or not _international(formatted):
        raise NotANumber(text)
    return formatted
