"""One subscriber, one spelling: the basis of keys."""

from __future__ import annotations

import datetime
import itertools
import tomllib
from importlib.resources import files

import phonenumbers
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from providers.numbers import NotANumber, to_number
from schemas.ids import contact_key, recipient_key
from schemas.numbering import FORMS, canonical, spellings, without_trunk_prefix
from schemas.pseudonyms import Pseudonyms

ROWS = tomllib.loads(files("schemas").joinpath("numbering.toml").read_text("utf-8"))["form"]

ONE_SUBSCRIBER = {
    "Mexico": ("+525512345678", "+5215512345678"),
    "Argentina": ("+541123456789", "+5491123456789"),
    "Brazil": ("+5531987654321", "+553187654321"),
    "Brazil, 7 outside the DDDs of trunked radio": ("+5531971234567", "+553171234567"),
    "Ivory Coast, Orange": ("+2250707123456", "+22507123456"),
    "Ivory Coast, MTN": ("+2250544123456", "+22544123456"),
    "Ivory Coast, Moov": ("+2250101234567", "+22501234567"),
    "Ivory Coast, fixed": ("+2252720212345", "+22520212345"),
    "Ivory Coast, fixed of MTN": ("+2252520012345", "+22520012345"),
    "Benin": ("+2290197123456", "+22997123456"),
    "Gabon, Libertis": ("+24166031234", "+24106031234", "+2416031234"),
    "Gabon, Airtel": ("+24177031234", "+24107031234", "+2417031234"),
    "Gabon, fixed": ("+24111441234", "+24101441234"),
    "Vietnam": ("+84701234567", "+841201234567"),
    "Great Britain": ("+447400123456", "+4407400123456"),
    "Hungary": ("+36201234567", "+3606201234567"),
    "Germany": ("+4915112345678", "+49015112345678"),
}

TWO_SUBSCRIBERS = [
    ("+5511912345678", "+551112345678"),  # a fixed line of São Paulo
    ("+5511971234567", "+551171234567"),  # trunked radio kept its eight digits
    ("+525512345678", "+525512345679"),
    ("+390698123456", "+39698123456"),  # Italy keeps its zero
    ("+2250101234567", "+2250501234567"),
    ("+24166031234", "+24162031234"),
]

SCHEMES = ("", "whatsapp:", "whatsapp: ", "rcs:")
PREFIXES = ("+", "", "00", "+00", "011")


def test_the_id_of_a_whatsapp_user_is_one_whether_its_channel_stands_before_it_or_not() -> None:
    assert canonical("whatsapp:US.13491208655302") == canonical("US.13491208655302") == "US.13491208655302"
    assert spellings("whatsapp:US.13491208655302") == ("US.13491208655302", "whatsapp:US.13491208655302")
    assert recipient_key("acme", "whatsapp:US.1349") == b"acme:US.1349"
    assert canonical("whatsapp:somebody") == "whatsapp:somebody"


def spelled_by_every_rule(number: str) -> str:
    """The canonical spelling, found by trying every form of every country until none applies."""
    for _ in range(16):
        before, number = number, without_trunk_prefix(number)
        for form in itertools.chain.from_iterable(FORMS.values()):
            if form.old.fullmatch(number):
                number = form.old.sub(form.to_new, number)
                break
        if number == before:
            break
    return number


@given(
    code=st.sampled_from([*FORMS, "44", "49", "39", "7", "81"]),
    national=st.text("0123456789", min_size=5, max_size=12),
)
@settings(max_examples=300, deadline=None)
def test_the_rules_that_are_looked_at_are_all_that_apply(code: str, national: str) -> None:
    """Digits dialed within a country, North America's 1 and Argentina's 15, are removed when numbers are read."""
    number = f"+{code}{national}"
    assume(not (code == "54" and number[3] in "12345678" and len(national) == 12))
    expected = spelled_by_every_rule(number) if 7 <= len(number) - 1 <= 15 else number
    assert canonical(number) == expected
    assert recipient_key("acme", number) == f"acme:{expected}".encode()
    assert contact_key("acme", "1", number) == f"acme:1:{expected}"


def examples(kind: int) -> list[phonenumbers.PhoneNumber]:
    found = (phonenumbers.example_number_for_type(region, kind) for region in sorted(phonenumbers.SUPPORTED_REGIONS))
    return [number for number in found if number is not None]


def e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


MOBILES = examples(phonenumbers.PhoneNumberType.MOBILE)


@pytest.mark.parametrize("forms", ONE_SUBSCRIBER.values(), ids=ONE_SUBSCRIBER)
def test_every_spelling_of_a_subscriber_gives_one_key(forms: tuple[str, ...]) -> None:
    assert {canonical(each) for each in forms} == {forms[0]}
    assert {recipient_key("acme", each) for each in forms} == {f"acme:{forms[0]}".encode()}
    assert {contact_key("acme", "+18005551234", each) for each in forms} == {f"acme:+18005551234:{forms[0]}"}
    assert len({Pseudonyms("a secret of the tests").of("acme", each) for each in forms}) == 1


@pytest.mark.parametrize("forms", ONE_SUBSCRIBER.values(), ids=ONE_SUBSCRIBER)
def test_all_spellings_are_found_from_any_the_canonical_one_first(forms: tuple[str, ...]) -> None:
    for each in forms:
        found = spellings(each)
        assert found[0] == forms[0]
        assert set(forms) <= set(found)


@pytest.mark.parametrize(("one", "other"), TWO_SUBSCRIBERS)
def test_different_subscribers_keep_different_keys(one: str, other: str) -> None:
    assert recipient_key("acme", one) != recipient_key("acme", other)


@pytest.mark.parametrize("text", ["", "25256", "MTN", "whatsapp:somebody", "anon_5f2a", "+0", "+", "+52155"])
def test_what_is_no_number_in_e164_stays_as_it_is(text: str) -> None:
    assert canonical(text) == text
    assert spellings(text) == (text,)


def test_no_two_mobiles_and_no_two_fixed_lines_of_the_world_meet() -> None:
    for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE):
        numbers = {e164(each) for each in examples(kind)}
        assert len({canonical(each) for each in numbers}) == len(numbers) > 200


@given(st.sampled_from(MOBILES), st.sampled_from(SCHEMES), st.sampled_from(PREFIXES), st.data())
def test_a_mobile_of_any_country_has_one_key_however_it_is_written(
    number: phonenumbers.PhoneNumber, scheme: str, prefix: str, data: st.DataObject
) -> None:
    form = data.draw(st.sampled_from(spellings(e164(number))))
    style = data.draw(st.sampled_from(["plain", "INTERNATIONAL", "dashes"]))
    digits = form.removeprefix("+")
    if style == "INTERNATIONAL":
        written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL).removeprefix("+")
    elif style == "dashes":
        written = "-".join((digits[:3], digits[3:6], digits[6:]))
    else:
        written = digits
    if prefix == "011" and sum(map(str.isdigit, written)) < 10:
        # Too short to be told from a national number that begins with 011.
        prefix = "00"
    assert recipient_key("acme", to_number(f"{scheme}{prefix}{written}")) == recipient_key("acme", e164(number))


@given(st.sampled_from(MOBILES), st.integers(0, 9_999))
def test_neighbors_of_a_subscriber_have_keys_of_their_own(number: phonenumbers.PhoneNumber, ending: int) -> None:
    mine = e164(number)
    neighbor = f"{mine[:-4]}{ending:04}"
    assert (canonical(mine) == canonical(neighbor)) == (mine == neighbor)


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
@example("+840064741394")  # two trunk zeros
@example("+55009895772273")
def test_the_canonical_spelling_is_its_own(number: str) -> None:
    first = canonical(number)
    assert canonical(first) == first
    assert {canonical(each) for each in spellings(number)} == {first}


@given(st.from_regex(r"\+?[0-9]{7,18}", fullmatch=True))
def test_a_number_that_was_read_is_looked_up_under_what_it_was_read_as(text: str) -> None:
    try:
        number = to_number(text)
    except NotANumber:
        return
    assert number in spellings(number)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['country']} {row['old']}")
def test_a_form_names_its_authority_and_where_it_was_read(row: dict[str, object]) -> None:
    assert set(row) - {"since"} == {"country", "code", "old", "new", "authority", "source"}
    assert isinstance(row.get("since", datetime.date.min), datetime.date)
    assert str(row["source"]).startswith("https://")
    assert phonenumbers.country_code_for_region(str(row["country"])) == int(str(row["code"]))
