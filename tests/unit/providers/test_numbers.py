"""Phone numbers in trackly's one spelling."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.numbers import NotANumber, is_unclear, to_number, to_sender


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("41793026727", "+41793026727"),
        ("+41793026727", "+41793026727"),
        ("1234567", "+1234567"),
        ("123456789012345", "+123456789012345"),
        (" 14155551234\n", "+14155551234"),
        ("whatsapp:+14155551234", "+14155551234"),
        ("whatsapp: 14155551234", "+14155551234"),
        ("rcs:+14155551234", "+14155551234"),
        ("messenger:+14155551234", "+14155551234"),
        *((f"{channel}+14155551234", "+14155551234") for channel in ("viber:", "sms:", "tel:", "WhatsApp:", "RCS:")),
        ("\u202a+1 415-555-1234\u202c\u200b", "+14155551234"),
        ("0041793026727", "+41793026727"),
        ("0041 79 302 67 27", "+41793026727"),
        ("+41 (0)79 302 67 27", "+41793026727"),
        ("(+41) 79 302 67 27", "+41793026727"),
        ("+1 (415) 555-1234", "+14155551234"),
        ("1-415-555-1234", "+14155551234"),
        ("+1.415.555.1234", "+14155551234"),
        ("+39 06 698 1234", "+39066981234"),
        ("+52 1 55 1234 5678", "+5215512345678"),
        ("+229 97 12 34 56", "+22997123456"),
        ("4407400123456", "+447400123456"),
        ("whatsapp:+4407400123456", "+447400123456"),
        ("1 1 415 555 1234", "+14155551234"),
        ("54111523456789", "+5491123456789"),
        ("011 49 151 12345678", "+4915112345678"),
    ],
)
def test_international_numbers_become_e164(written: str, expected: str) -> None:
    assert to_number(written) == expected


@pytest.mark.parametrize("short_code", ["911", "2021", "25256", "384387", "0800"])
def test_short_codes_stay_as_they_are(short_code: str) -> None:
    assert to_number(short_code) == short_code


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "abc",
            "12",
            "+",
            "+2021",
            "++14155551234",
            "3" * 30,
            "1234567890123456",
            "+1234567890123456",
        ),
        *(
            "0000000",
            "14155551234x",
            "1-800-FLOWERS",
            "+1415555123４",
            "14155551234\u0000",
            "+ 999 99999999",
            "MTN",
        ),
        *(
            "whatsapp:",
            "whatsapp:US.1234",
            "mailto:14155551234",
            "+49 12-34",
            "+1 415 555",
            "+41 79 302 67 27 99 99",
            "9" * 10_000,
        ),
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(NotANumber):
        to_number(text)


@pytest.mark.parametrize(
    "national", ["(415) 555-1234", "(917) 555-1234", "0171 2345678", "0113 496 0000", "011 4912-3456"]
)
def test_national_numbers_are_refused_because_their_country_is_unknown(national: str) -> None:
    with pytest.raises(NotANumber):
        to_number(national)


def test_a_messenger_user_id_is_no_phone_number() -> None:
    with pytest.raises(NotANumber):
        to_number("messenger:123456789012345")


def test_the_error_keeps_the_text_out_of_its_message() -> None:
    with pytest.raises(NotANumber) as caught:
        to_number("+1 415 555 1234 ext. 9")
    assert "415" not in str(caught.value)
    assert caught.value.text == "+1 415 555 1234 ext. 9"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("441134960000", "+441134960000"),
        ("25256", "25256"),
        ("InfoSMS", "InfoSMS"),
        (" Acme Media ", "Acme Media"),
        ("whatsapp:+14155238886", "+14155238886"),
        ("whatsapp:US.1234", "whatsapp:US.1234"),
        ("messenger:123456789012345", "messenger:123456789012345"),
        ("", ""),
    ],
)
def test_senders_that_are_no_number_stay_as_they_are(written: str, expected: str) -> None:
    assert to_sender(written) == expected


@given(st.text() | st.from_regex(r"[+(]{0,3}[0-9]{1,3}[0-9 ().\-/+]{0,40}", fullmatch=True))
def test_the_result_is_e164_or_a_short_code_and_stays_when_normalized_again(text: str) -> None:
    try:
        number = to_number(text)
    except NotANumber:
        return
    assert re.fullmatch(r"\+[1-9][0-9]{6,14}|[0-9]{3,6}", number)
    assert to_number(number) == number


@pytest.mark.parametrize("region", ["US", "GB", "DE", "IT", "FR", "IN", "BR", "NG", "JP", "AU", "MX", "CH"])
@pytest.mark.parametrize("form", ["INTERNATIONAL", "RFC3966"])
def test_numbers_of_a_country_come_back_from_their_written_form(region: str, form: str) -> None:
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert example is not None
    written = phonenumbers.format_number(example, getattr(phonenumbers.PhoneNumberFormat, form))
    expected = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    assert to_number(written.removeprefix("tel:")) == expected


@pytest.mark.parametrize(
    "written",
    [
        "415-555-1234",
        "(415) 555-1234",
        "0171 2345678",
        "01712345678",
        "14155551234 x5",
        "+1 415 555 1234 ext. 9",
        "+14155551234;ext=5",
        "++14155551234",
        "+1415555123４",
        "2125551234",
        "4155551234",
        "8015551234",
        "+2125551234",
    ],
)
def test_a_number_that_cannot_be_read_is_unclear(written: str) -> None:
    assert is_unclear(to_sender(written))


@pytest.mark.parametrize(
    "written",
    [
        "+14155551234",
        "14155551234",
        "6581234567",
        "4522345678",
        "2121551234",
        "25256",
        "0800",
        "1234567890123456789",
        "US.13491208655302",
        "messenger:123456789012345",
        "12345678-1234-5678-1234-567812345678",
        "AcmeShop",
        "",
    ],
)
def test_a_number_and_an_id_of_a_channel_are_clear(written: str) -> None:
    assert not is_unclear(to_sender(written))
