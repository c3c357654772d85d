"""Amounts as people and networks write them."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.money import MAX_LENGTH, Money, NotMoney, read_currency, read_money


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("2.5", "2.5"),
        ("2.50000", "2.50000"),
        ("0", "0"),
        ("0.00", "0.00"),
        ("-2.50", "-2.50"),
        ("+2.50", "2.50"),
        ("-0.00", "0.00"),
        ("\u22122.50", "-2.50"),
        (" 2.50 ", "2.50"),
        (".5", "0.5"),
        ("5.", "5"),
        ("007.10", "7.10"),
        ("1e3", "1000"),
        ("1.5E-5", "0.000015"),
        ("-2E+1", "-20"),
    ],
)
def test_machine_written_amounts_keep_their_digits(text: str, amount: str) -> None:
    assert read_money(text) == Money(amount)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1,234.50", "1234.50"),
        ("1.234,50", "1234.50"),
        ("1,234,567.80", "1234567.80"),
        ("1.234.567,80", "1234567.80"),
        ("1,234,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1 234,50", "1234.50"),
        ("1\u202f234,50", "1234.50"),
        ("1'234.50", "1234.50"),
        ("1 234,567", "1234.567"),
        ("1.234", "1.234"),
        ("1,234", "1234"),
        ("12,5", "12.5"),
        ("12,50", "12.50"),
        ("0,125", "0.125"),
        ("1234,567", "1234.567"),
    ],
)
def test_separators_follow_the_rules(text: str, amount: str) -> None:
    assert read_money(text) == Money(amount)


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("$1,234.50", "1234.50", "USD"),
        ("1.234,50 €", "1234.50", "EUR"),
        ("-$5.00", "-5.00", "USD"),
        ("$-5.00", "-5.00", "USD"),
        ("USD 5", "5", "USD"),
        ("5eur", "5", "EUR"),
        ("CA$ 5", "5", "CAD"),
        ("£5", "5", "GBP"),
        ("$5 USD", "5", "USD"),
        ("$5 CAD", "5", "CAD"),
    ],
)
def test_the_currency_stands_before_or_after(text: str, amount: str, currency: str) -> None:
    money = read_money(text)
    assert (money.amount, money.currencies[0]) == (amount, currency)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "abc", "free", "true", "-", "$", "."),
        *("1.234.50", "1,23,456", "12 34", "1,234 567", "5,", "1..5", "1.2.3", "1 ,5"),
        *("--5", "-+5", "-$-5", "5-", "(5)", "5%", "PAY5", "5 XYZ", "€5 USD", "1e999", "5 5"),
        *("NaN", "Infinity", "0x10", "１２", "٣"),
        "1" * (MAX_LENGTH + 1),
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(NotMoney):
        read_money(text)


@pytest.mark.parametrize(("text", "currencies"), [("usd", ("USD",)), (" EUR ", ("EUR",)), ("R$", ("BRL",))])
def test_a_currency_is_a_code_or_a_sign(text: str, currencies: tuple[str, ...]) -> None:
    assert read_currency(text) == currencies


@pytest.mark.parametrize("text", ["", "US", "USDT", "dollars", "840"])
def test_what_is_no_currency_is_refused(text: str) -> None:
    with pytest.raises(NotMoney):
        read_currency(text)


amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=2)


@given(amounts)
def test_an_amount_of_a_program_is_itself(amount: Decimal) -> None:
    assert Decimal(read_money(str(amount)).amount) == amount


@given(amounts, st.sampled_from([(",", "."), (".", ","), (" ", ","), ("'", ".")]))
def test_grouping_changes_no_amount(amount: Decimal, marks: tuple[str, str]) -> None:
    grouping, mark = marks
    text = f"{amount:,.2f}".replace(",", "g").replace(".", mark).replace("g", grouping)
    assert Decimal(read_money(text).amount) == amount


@given(st.text(st.sampled_from("0123456789.,' +-$€eEUSD%\u2212"), max_size=12) | st.text(max_size=12))
def test_whatever_is_read_is_a_plain_decimal(text: str) -> None:
    try:
        money = read_money(text)
    except NotMoney:
        return
    assert re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", money.amount)
    assert all(re.fullmatch(r"[A-Z]{3}", currency) for currency in money.currencies)
