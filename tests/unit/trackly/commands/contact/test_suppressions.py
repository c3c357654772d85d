"""Lines of suppression lists as written by other systems."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackly.commands.contact.suppressions import COLUMNS, BadLine, Format, Suppression, parser_for

NUMBER = "+15551230001"


@pytest.mark.parametrize(
    ("first", "line", "expected"),
    [
        ("+15551230001", "+15551230001", Suppression(NUMBER, None)),
        ("15551230001", "15551230001", Suppression(NUMBER, None)),
        ("+15551230002,manual", "+1 (555) 123-0001,complaint", Suppression(NUMBER, "complaint")),
        ("number,reason", "+15551230001,", Suppression(NUMBER, None)),
        ("number,reason", "+15551230001", Suppression(NUMBER, None)),
        ("number,reason", '"+15551230001","Message"', Suppression(NUMBER, "message")),
        ("Reason;Number;List", "manual;15551230001;x", Suppression(NUMBER, "manual")),
        ("name\tphone\n", "Ann\t15551230001", Suppression(NUMBER, None)),
        ("msisdn,comment", "15551230001,whatever they said", Suppression(NUMBER, None)),
        ("number,reason", "number,reason", None),
        ("number,reason", "", None),
        ("number,reason", " , ", None),
    ],
)
def test_a_line_of_csv(first: str, line: str, expected: Suppression | None) -> None:
    assert parser_for("csv", first)(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"number": "15551230001"}', Suppression(NUMBER, None)),
        ('{"number": 15551230001}', Suppression(NUMBER, None)),
        ('{"phone_number": "+15551230001", "reason": "complaint", "x": 1}', Suppression(NUMBER, "complaint")),
        ('{"number": "+15551230001", "reason": null}', Suppression(NUMBER, None)),
        ("", None),
    ],
)
def test_a_line_of_json(line: str, expected: Suppression | None) -> None:
    assert parser_for("jsonl", "")(line) == expected


HEADER = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("active", "held", "is_removed"), [("true", "false", False), ("false", "false", True), ("false", "true", True)]
)
def test_of_an_export_only_contacts_that_must_not_be_texted_are_removed(
    active: str, held: str, is_removed: bool
) -> None:
    since, scope = "2026-11-20T10:15:00.000Z", "list"
    row = dict(zip(COLUMNS, (NUMBER, "", since, "+18005551234", active, "2", scope, held), strict=True))
    told = row | {"reason": None, "active": json.loads(active), "failures": 2, "held": json.loads(held)}
    for parse, line in (
        (parser_for("csv", HEADER), ",".join(row.values())),
        (parser_for("jsonl", ""), json.dumps(told)),
    ):
        if is_removed:
            assert parse(line) == Suppression(NUMBER, None)
        else:
            with pytest.raises(BadLine, match="the contact is active in this export"):
                parse(line)


def test_what_active_means_in_another_system_s_list_is_not_known() -> None:
    assert parser_for("csv", "number,active")("15551230001,true") == Suppression(NUMBER, None)
    assert parser_for("jsonl", "")('{"number": "15551230001", "active": true}') == Suppression(NUMBER, None)


@pytest.mark.parametrize(
    ("file_format", "first", "line"),
    [
        ("csv", "number,reason", "+15551230001,Opted out"),
        ("csv", "+15551230002,stop", "+15551230001,stop"),
        ("jsonl", "", '{"number": "+15551230001", "reason": "hard bounce"}'),
    ],
)
def test_whoever_is_on_the_list_for_an_unknown_reason_is_removed_too(
    file_format: Format, first: str, line: str
) -> None:
    assert parser_for(file_format, first)(line) == Suppression(NUMBER, None, has_unknown_reason=True)


@pytest.mark.parametrize(
    ("first", "line", "told"),
    [
        ("number,reason", "nobody,manual", "the number is not a valid phone number"),
        ("number,reason", "1.5551E+10,", "the number is not a valid phone number"),
        ("reason,number", "manual", "has no column 2 with a number"),
        ("number", '"+15551230001', "is not valid CSV"),
    ],
)
def test_a_line_of_csv_that_names_no_contact(first: str, line: str, told: str) -> None:
    with pytest.raises(BadLine, match=told.replace("+", r"\+")):
        parser_for("csv", first)(line)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ('"+15551230001"', "is not a JSON object"),
        ("{}", 'has no field "number"'),
        ('{"number": null}', 'has no field "number"'),
        ('{"number": "nobody"}', "the number is not a valid phone number"),
    ],
)
def test_a_line_of_json_that_names_no_contact(line: str, told: str) -> None:
    with pytest.raises(BadLine, match=told):
        parser_for("jsonl", "")(line)


@given(first=st.text(max_size=50), line=st.text(max_size=200))
def test_any_line_is_a_contact_or_nothing_or_a_bad_line(first: str, line: str) -> None:
    for file_format in ("csv", "jsonl"):
        try:
            row = parser_for(file_format, first)(line)
        except BadLine:
            continue
        assert row is None or row.number.lstrip("+").isdigit()


def test_what_an_export_writes_an_import_reads() -> None:
    row = {"number": NUMBER, "reason": "complaint", "since": "2024-01-15T10:30:00.000Z", "list_number": "+18005551234"}
    out = io.StringIO()
    table = csv.DictWriter(out, row, lineterminator="\n")
    table.writeheader()
    table.writerow(row)
    first, line = out.getvalue().splitlines()
    assert parser_for("csv", first)(line) == Suppression(NUMBER, "complaint")
    assert parser_for("jsonl", "")(json.dumps(row)) == Suppression(NUMBER, "complaint")


def test_an_erased_number_in_an_export_says_why_it_is_not_imported() -> None:
    for parse, line in (
        (parser_for("csv", HEADER), "anon_4pjt3sefrdktkqmhu2dmijedgt,message,,,false,0,list,false"),
        (parser_for("jsonl", ""), '{"number": "anon_4pjt3sefrdktkqmhu2dmijedgt"}'),
    ):
        with pytest.raises(BadLine, match="was erased, and only its pseudonym is left: it can be removed only by the"):
            parse(line)
