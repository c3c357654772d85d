"""The canonical spelling of phone numbers used in keys, whatever spelling was received.

Rules are data: `schemas/numbering.toml`. A trunk zero after the country code is not part of a number; phonenumbers
knows which countries have one, and which keep a zero. Anything but an E.164 number stays unchanged: a short code, an
alphanumeric sender, a pseudonym, a channel's id. A WhatsApp user id loses its channel prefix.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from itertools import product
from typing import Any, NamedTuple

import phonenumbers

# ITU-T E.164 country codes: none is a prefix of another.
_CODES = (
    "[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    "|(?:2[1-689]|3[578]|42|5[09]|6[7-9]|8[035789]|9[679])[0-9]"
)
_code_of = re.compile(_CODES).match
# A zero after the country code; in North America a 1; in Argentina the 15 after the area code, by length.
_dialed_within = re.compile(rf"\+(?:1[01]|54[1-8][0-9]{{11}}$|(?:{_CODES})0)").match

_E164 = re.compile(r"\+([1-9][0-9]{6,14})").fullmatch
_KEPT = re.compile(r"\{[^}]*}")
_ATOM = re.compile(r"\[[^]]*]|.")
_STEPS = 16
"""More than a number has digits."""

# A country, a point, letters and digits; an id shared by several portfolios has ENT in between.
_user_id = re.compile(r"\s*(?:whatsapp:\s*)?([A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128})\s*").fullmatch
_WHATSAPP = "whatsapp:"

_LOOKED_AT = 4
"""Leading digits that show, for most numbers, that nothing needs to change."""


class Form(NamedTuple):
    """An old spelling and the canonical one, as patterns of whole numbers, with the replacement in each direction."""

    old: re.Pattern[str]
    new: re.Pattern[str]
    to_new: str
    to_old: str


def canonical(number: str) -> str:
    """Return the canonical spelling of a subscriber's number (E.164). Anything else is returned unchanged."""
    return _rewritten(number) if number[:5] in SECOND_LOOK else number


def spellings(number: str) -> tuple[str, ...]:
    """Return all present and past spellings of a number's subscriber, the canonical one first."""
    if number[:5] in one_spelling():
        return (number,)
    first = canonical(number)
    if user_id_of(first):
        return (first, _WHATSAPP + first)
    found = _E164(first)
    if not found:
        return (first,)
    code = country_code(found[1])
    forms, zero = FORMS.get(code, ()), _trunk_prefix(code)
    if not forms and not zero:
        return (first,)
    others = [form.new.sub(form.to_old, first) for form in forms if form.new.fullmatch(first)]
    if zero:
        others += [f"+{code}{zero}{each.removeprefix(f'+{code}')}" for each in (first, *others)]
    return tuple(dict.fromkeys([first, *(each for each in others if _E164(each) and canonical(each) == first)]))


def user_id_of(text: str) -> str | None:
    """Return a text's WhatsApp user id (US.13491208655302) without its channel; None for anything else.

    WhatsApp sends it instead of the number of people who hide theirs, and beside it otherwise.
    https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
    """
    found = _user_id(text)
    return found[1] if found else None


@lru_cache(maxsize=1 << 14)
def _rewritten(number: str) -> str:
    if not _E164(number):
        return user_id_of(number) or number
    # There may be several zeros, and an old spelling after them, so repeat until nothing changes.
    for _ in range(_STEPS):
        before, number = number, _rewritten_once(number)
        if number == before:
            break
    return number


def _rewritten_once(number: str) -> str:
    number = without_trunk_prefix(number)
    for form in FORMS.get(country_code(number[1:]), ()):
        if form.old.fullmatch(number):
            return form.old.sub(form.to_new, number)
    return number


def without_trunk_prefix(number: str) -> str:
    """Return an E.164 number without trunk prefix digits; unchanged if it has none."""
    if not _dialed_within(number) or (number[1] != "1" and not _trunk_prefix(country_code(number[1:]))):
        return number
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    possible = phonenumbers.is_possible_number(parsed)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if possible else number


def country_code(digits: str) -> str:
    """Return the country code (ITU-T E.164) of digits; empty if there is none."""
    found = _code_of(digits)
    return found[0] if found else ""


@cache
def _trunk_prefix(code: str) -> str:
    """Return the zero, and what follows it, that a country dials before national numbers; empty if there is none."""
    region = phonenumbers.region_code_for_country_code(int(code or 0))
    prefix = phonenumbers.ndd_prefix_for_region(region, True) or ""
    return prefix if prefix.startswith("0") else ""


def _form(row: dict[str, Any]) -> Form:
    old, new, code = row["old"], row["new"], row["code"]
    kept = iter(_KEPT.findall(old))
    return Form(
        old=re.compile(rf"\+{code}{_pattern(old)}"),
        new=re.compile(rf"\+{code}{_pattern(re.sub('{}', lambda _: next(kept), new))}"),
        to_new=_template(code, new.split("{}")),
        to_old=_template(code, _KEPT.split(old)),
    )


def _template(code: str, literals: list[str]) -> str:
    """Return the replacement: the literals with the kept digits in between."""
    first, *others = literals
    return f"+{code}{first}" + "".join(rf"\g<{index}>{text}" for index, text in enumerate(others, 1))


def _pattern(digits: str) -> str:
    return digits.replace("x", "[0-9]").replace("{", "(").replace("}", ")")


def _second_look(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Return the prefixes of numbers that a form may change, or that have a zero after the country code."""
    begins: dict[str, list[re.Pattern[str]]] = {}
    for row in rows:
        code = row["code"]
        begins.setdefault(code, []).append(re.compile(code + "".join(_atoms(row)[: _LOOKED_AT - len(code)])))
    for digits in map("".join, product("0123456789", repeat=_LOOKED_AT)):
        code = country_code(digits)
        if (code not in ("", "1") and digits.startswith("0", len(code))) or any(
            begin.fullmatch(digits) for begin in begins.get(code, ())
        ):
            yield "+" + digits


@cache
def one_spelling() -> frozenset[str]:
    """Return the first five characters of numbers that never had another spelling.

    Computed on first use: it needs what phonenumbers knows of every country, which takes longer than this module.
    """
    return frozenset(_one_spelling())


def _one_spelling() -> Iterator[str]:
    codes = {"".join(digits) for size in (1, 2, 3) for digits in product("0123456789", repeat=size)}
    alone = {code for code in codes if country_code(code) == code and code not in FORMS and not _trunk_prefix(code)}
    for digits in map("".join, product("0123456789", repeat=_LOOKED_AT)):
        if country_code(digits) in alone and "+" + digits not in SECOND_LOOK:
            yield "+" + digits


def _atoms(row: dict[str, Any]) -> list[str]:
    return [_pattern(atom) for atom in _ATOM.findall(row["old"].replace("{", "").replace("}", ""))]


_ROWS = tomllib.loads(files("schemas").joinpath("numbering.toml").read_text("utf-8"))["form"]
FORMS = {row["code"]: tuple(_form(each) for each in _ROWS if each["code"] == row["code"]) for row in _ROWS}
"""Old and new spellings by country code, in file order."""
SECOND_LOOK = frozenset((*_second_look(_ROWS), _WHATSAPP[:5]))
"""First five characters of numbers that may have another canonical spelling."""
