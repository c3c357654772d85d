"""Parse amounts of money, as people and networks write them, into a decimal string and a currency.

A decimal string is readable by `decimal.Decimal` and has no exponent: digits, at most one point, and a minus for a
reversal. Digits after the point are kept as written; nothing is rounded.

Separators follow these rules, in this order; text that fits none is not an amount:

- If there are a point and a comma, the last one is the decimal mark and occurs once: 1,234.50 and 1.234,50.
- A separator that occurs more than once, a space, or an apostrophe groups digits by three: 1.234.567, 1 234,50,
  1'234.50.
- A point alone is the decimal mark, whatever follows: 1.234 is a little more than one.
- A comma alone before exactly three digits groups them, as in English: 1,234 is 1234. Before any other number of
  digits, or after a zero, it is the decimal mark: 12,5 and 0,125.

`data/currencies.json` lists currency signs and codes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from providers.meanings import tables

MAX_LENGTH = 40
"""Maximum characters of an amount with its currency, including spaces."""


class NotMoney(ValueError):
    """The text is not an amount of money, or not a currency."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount, and the currencies (ISO 4217) that its sign may stand for, likeliest first; empty without a sign."""

    amount: str
    currencies: tuple[str, ...] = ()


def read_money(text: str) -> Money:
    """Parse an amount. The currency may come before or after it, as a sign or a code. Raises NotMoney."""
    found = _written(text.strip().translate(_PLAIN)) if len(text) <= MAX_LENGTH else None
    if found is None:
        raise NotMoney("not an amount of money")
    amount = _decimal(found["number"])
    if found["exponent"]:
        amount = f"{Decimal(amount + found['exponent']):f}"
    if "-" in (found["sign"], found["inner_sign"]) and amount.strip("0."):
        amount = "-" + amount
    return Money(amount, _currencies(found["before"], found["after"]))


def read_currency(text: str) -> tuple[str, ...]:
    """Return the currencies (ISO 4217) that a code or sign may stand for, likeliest first. Raises NotMoney."""
    currency = text.strip().upper()
    if currency in _CODES:
        return (currency,)
    if currency not in _SIGNS:
        raise NotMoney("not a currency")
    return _SIGNS[currency]


def _decimal(number: str) -> str:
    mark = _decimal_mark(number)
    whole, _, fraction = number.rpartition(mark) if mark else (number, "", "")
    if not _grouped(whole) or (fraction and not _digits(fraction)):
        raise NotMoney("separators of the amount make no sense")
    whole = _not_digits.sub("", whole).lstrip("0") or "0"
    return f"{whole}.{fraction}" if fraction else whole


def _decimal_mark(number: str) -> str:
    marks = [character for character in number if character in ".,"]
    if not marks or (len(marks) > 1 and len(set(marks)) == 1) or _grouped_by_comma(number):
        return ""
    return marks[-1]


def _currencies(before: str | None, after: str | None) -> tuple[str, ...]:
    """Return the candidates for one currency, or for two given together: `$5 USD`."""
    if not before or not after:
        return read_currency(before or after or "") if before or after else ()
    both = tuple(currency for currency in read_currency(before) if currency in read_currency(after))
    if not both:
        raise NotMoney("two currencies")
    return both


_PLAIN = str.maketrans({"\u2212": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'"})
_written = re.compile(
    r"(?P<sign>[+-])? ?(?P<before>[^\s\d.,'+-]{1,4})? ?(?P<inner_sign>(?(sign)(?!)|[+-]))? ?"
    r"(?:(?P<number>[0-9](?:[0-9., ']*[0-9.])?|\.[0-9]+)(?P<exponent>[eE][+-]?[0-9]{1,2})?)"
    r" ?(?P<after>[^\s\d.,'+-]{1,4})?",
    re.ASCII,
).fullmatch
_digits = re.compile(r"[0-9]+").fullmatch
_grouped = re.compile(r"[0-9]*|[0-9]{1,3}([., '])[0-9]{3}(?:\1[0-9]{3})*").fullmatch
_grouped_by_comma = re.compile(r"[1-9][0-9]{0,2},[0-9]{3}").fullmatch
_not_digits = re.compile(r"[^0-9]+")

_DATA = tables("currencies")
_CODES = frozenset(_DATA["codes"])
_SIGNS: Mapping[str, tuple[str, ...]] = {sign: tuple(codes) for sign, codes in _DATA["signs"].items()}
