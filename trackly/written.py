"""Parses numbers as people write them, in files and on the command line, if their country is certain.

Providers write international numbers as digits without a plus; people write numbers of their own country that way.
"""

from __future__ import annotations

import re

import phonenumbers

from providers.numbers import NotANumber, is_international, is_unclear, may_lack_country, to_number

_north_american = re.compile(r"\+1[2-9][0-9]{9}").fullmatch
# How spreadsheets show long numbers: exact, because they keep fifteen digits.
_decimal = re.compile(r"(\+?[0-9]{7,15})\.0+").fullmatch
# A number that a spreadsheet must leave as it is: ="+1555…" or '+1555….
_marked = re.compile(r"=\"([^\"]*)\"|'(.*)").fullmatch
_scientific = re.compile(r"\+?[0-9.,]+[eE]\+?[0-9]+").fullmatch


def written_number(text: str, country: str | None = None) -> str:
    """Parse a subscriber's number, as a person wrote it, into E.164. `country` (ISO 3166) applies to numbers without a
    country code.

    Raises ValueError, whose text says what is uncertain.
    """
    text = text.strip()
    marked = _marked(text)
    text = (marked[1] or marked[2] or "").strip() if marked else text
    decimal = _decimal(text)
    text = decimal[1] if decimal else text
    if _scientific(text):
        raise ValueError(
            "the number is not a valid phone number: a spreadsheet has removed digits; export the column as text"
        )
    if country is not None and not is_international(text):
        national = _national(text, country)
        if national is not None:
            return national
    if country is None and may_lack_country(text):
        raise ValueError("the number may lack its country code: write it with a plus, or pass --country, such as US")
    try:
        number = to_number(text)
    except NotANumber:
        raise ValueError("the number is not a valid phone number") from None
    if not number.startswith("+"):
        raise ValueError("the number is a short code, which belongs to no person")
    if is_unclear(number):
        raise ValueError("the number may lack its country code after the plus, such as North America's 1")
    if is_international(text) or _north_american(number):
        return number
    if not is_given_out(number):
        if country is not None:
            raise ValueError(f"the number has no plus, and fits neither {country} nor another country")
        raise ValueError("the number has no plus, and fits no country: pass its country with --country")
    return number


def is_given_out(number: str) -> bool:
    """Whether a number in E.164 is in a range that its country has assigned."""
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


def country_of(text: str) -> str:
    """Parse a country code, as used by phonenumbers. Raises ValueError."""
    country = text.strip().upper()
    if country not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{text!r} is not a valid country; write two letters, such as US or GB")
    return country


def _national(text: str, country: str) -> str | None:
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
