"""Numbers as people write them are read only if their country is certain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trackly.commands.contact.imports import Import, Order
from trackly.commands.contact.suppressions import BadLine, Suppression, parser_for
from trackly.written import country_of, written_number


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("+14155551234", None, "+14155551234"),
        ("14155551234", None, "+14155551234"),
        ("4915112345678", None, "+4915112345678"),
        ("4915112345678.0", None, "+4915112345678"),
        ("447911123456.00", None, "+447911123456"),
        ("4407911123456", None, "+447911123456"),
        ("+44 (0)7911 123456", None, "+447911123456"),
        ("00447911123456", None, "+447911123456"),
        ("4155551234", "US", "+14155551234"),
        ("(415) 555-1234", "US", "+14155551234"),
        ("415-555-1234", "US", "+14155551234"),
        ("07911123456", "GB", "+447911123456"),
        ("+14155551234", "GB", "+14155551234"),
        ("447911123456", "US", "+447911123456"),
        ("41793026727", "CH", "+41793026727"),
        ("4520123456", "DK", "+4520123456"),
    ],
)
def test_a_number_whose_country_is_certain_is_read(text: str, country: str | None, number: str) -> None:
    assert written_number(text, country) == number


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("4155551234", "may lack its country code"),
        ("415-555-1234", "may lack its country code"),
        ("(415) 555-1234", "may lack its country code"),
        ("+2125551234", "may lack its country code after the plus"),
        ("07911123456", "not a valid phone number"),
        ("5551234", "fits no country"),
        ("555-1234", "not a valid phone number"),
        ("12345", "short code"),
        ("1.4155551234E+10", "a spreadsheet has removed digits"),
        ("4,91511E+12", "a spreadsheet has removed digits"),
        ("nobody", "not a valid phone number"),
        ("", "not a valid phone number"),
    ],
)
def test_one_whose_country_is_not_says_what_is_doubtful(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        written_number(text)


def test_one_that_fits_no_country_does_not_ask_again_for_the_country_that_was_given() -> None:
    with pytest.raises(ValueError, match="fits neither US nor another country"):
        written_number("5552010008", "US")


@pytest.mark.parametrize("text", ["Germany", "", "XX", "U"])
def test_a_country_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid country"):
        country_of(text)


def test_a_country_is_taken_in_either_case() -> None:
    assert country_of("gb") == "GB"


@pytest.mark.parametrize("value", ["4155551234", "null", '"4155551234"'])
def test_a_json_number_without_its_country_is_no_line(value: str) -> None:
    with pytest.raises(BadLine):
        parser_for("jsonl", "")(f'{{"number": {value}}}')


def test_a_json_number_that_a_program_made_a_decimal_of_is_itself() -> None:
    assert parser_for("jsonl", "")('{"number": 4915112345678.0}') == Suppression("+4915112345678", None)


def test_the_column_of_numbers_may_be_named_with_a_blank() -> None:
    parse = parser_for("csv", "Name,Phone Number,Reason")
    assert parse("Bob,+14155551234,complaint") == Suppression("+14155551234", "complaint")


def test_a_file_is_read_through_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("number\n+14155551234\n4155551234\n+15551230001\nnobody\n", "utf-8")
    work = Import(path, Order("acme", "+18005551234", "manual", "test"), "csv")
    survey = work.survey()
    assert (survey.lines, survey.rejected, survey.doubtful) == (5, 2, 1)
    assert survey.examples[1] == "line 4: no country has assigned this number"
    assert [each.name for each in tmp_path.iterdir()] == ["list.csv"]


def test_an_import_that_was_interrupted_goes_on_with_the_same_country_only(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("4155551234\n", "utf-8")
    order = Order("acme", "+18005551234", "manual", "test")
    state = Import(path, order, "csv", country="US").state
    fields = {name: getattr(state, name) for name in state.__slots__}
    (tmp_path / "list.csv.import.json").write_text(json.dumps(fields), "utf-8")
    assert Import(path, order, "csv", country="US").resumed
    with pytest.raises(Exception, match="another file, account, list, reason, country, or date"):
        Import(path, order, "csv", country="CH")
