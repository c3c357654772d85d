"""How postbacks are read, whatever the network: macros, money, types, ids, and repetitions."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from providers import NETWORKS
from providers.base import Malformed, Unreadable
from providers.networks import MAX_BYTES, MAX_ID_LENGTH
from schemas.records import Postback, RawCallback
from tests.unit.providers.provider_callbacks import FORM, callback

JSON = "application/json"


def get(query: str, network: str = "tune") -> RawCallback:
    return replace(callback(network, b"", method="GET", query=query), account="")


def post(body: bytes, content_type: str | None = JSON, query: str = "") -> RawCallback:
    return callback("tune", body, content_type=content_type, query=query)


def postback(raw: RawCallback) -> Postback:
    (item,) = NETWORKS[raw.provider].read(raw)
    assert isinstance(item, Postback)
    return item


def problem(raw: RawCallback) -> tuple[str, str]:
    (item,) = NETWORKS[raw.provider].read(raw)
    assert isinstance(item, Malformed)
    return item.reason, item.error


def test_a_postback_is_read() -> None:
    raw = get("click_id=c-1&payout=2.50&currency=usd&conversion_id=t-9&type=sale&goal_id=7&offer_id=1234")
    assert replace(postback(raw), event_id="") == Postback(
        event_id="",
        network="tune",
        account=None,
        click_id="c-1",
        type="sale",
        payout="2.50",
        currency="USD",
        external_id="t-9",
        goal="7",
        parameters={
            "click_id": "c-1",
            "payout": "2.50",
            "currency": "usd",
            "conversion_id": "t-9",
            "type": "sale",
            "goal_id": "7",
            "offer_id": "1234",
        },
        remote_ip="203.0.113.7",
        received_at=raw.received_at,
    )


def test_the_account_is_that_of_the_callback_where_it_has_one() -> None:
    assert postback(replace(get("click_id=c-1"), account="acme")).account == "acme"


# What is absent


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "{aff_sub}", "%7Baff_sub%7D", "%7baff_sub%7d", "%257Baff_sub%257D", "PAY{aff_sub}", "{{clickId}}"),
        *("{aff_sub}-{aff_sub2}", "${CLICK_ID}", "{}", "{click id}"),
    ],
)
def test_an_unfilled_macro_is_absent(value: str) -> None:
    assert problem(get(f"click_id={value}&payout=1"))[0] == "missing_field"
    assert "click_id is missing" in problem(get(f"click_id={value}&payout=1"))[1]
    read = postback(get(f"click_id=c-1&payout={value}&currency={value}&conversion_id={value}&type={value}&x={value}"))
    assert (read.payout, read.currency, read.external_id, read.type) == (None, None, None, "conversion")
    assert read.parameters == {"click_id": "c-1"}


@pytest.mark.parametrize(
    "value",
    [
        *("%%AFF_SUB%%", "%AFF_SUB%", "[click_id]", "[CLICK ID]", "#s1#", "__CLICK_ID__", "<click_id>", "$click_id$"),
        *("undefined", "null", "NULL"),
    ],
)
def test_a_macro_of_another_tracker_is_absent(value: str) -> None:
    assert problem(get(f"click_id={quote(value)}&payout=1"))[0] == "missing_field"


@pytest.mark.parametrize("value", ["50%", "[1]", "a#b", "#1", "__a", "<b", "$5", "$1,234.50", "nullable", "100%%"])
def test_signs_that_are_no_macro_are_kept(value: str) -> None:
    assert postback(get(f"click_id=c-1&x={quote(value)}")).parameters["x"] == value


def test_an_ampersand_that_was_copied_from_a_page_is_one() -> None:
    read = postback(get("click_id=c-1&amp;payout=1.50&amp;conversion_id=x"))
    assert (read.click_id, read.payout, read.external_id) == ("c-1", "1.50", "x")


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20), st.booleans())
def test_any_macro_is_absent_however_it_is_encoded(name: str, is_encoded: bool) -> None:
    macro = quote("{" + name + "}") if is_encoded else "{" + name + "}"
    assert problem(get(f"click_id={macro}"))[0] == "missing_field"


@pytest.mark.parametrize("value", ["c{1", "c}1", '{"a":"b"}'])
def test_braces_that_are_no_macro_are_kept(value: str) -> None:
    assert postback(get(f"click_id=c-1&x={quote(value)}")).parameters["x"] == value


def test_nothing_at_all_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="click_id is missing"):
        NETWORKS["tune"].read(get(""))


# Money


@pytest.mark.parametrize(
    ("query", "payout", "currency"),
    [
        ("", None, None),
        ("payout=0", "0", None),
        ("payout=2.50000", "2.50000", None),
        ("payout=-2.50", "-2.50", None),
        ("payout=%241%2C234.50", "1234.50", "USD"),
        ("payout=1.234,50+%E2%82%AC", "1234.50", "EUR"),
        ("payout=5&currency=%E2%82%AC", "5", "EUR"),
        ("payout=%245&currency=CAD", "5", "CAD"),
        ("currency=USD", None, None),
    ],
)
def test_a_payout_is_a_decimal_string(query: str, payout: str | None, currency: str | None) -> None:
    read = postback(get(f"click_id=c-1&{query}"))
    assert (read.payout, read.currency) == (payout, currency)


@pytest.mark.parametrize(
    ("query", "reason", "named"),
    [
        ("payout=free", "invalid_amount", "payout"),
        ("payout=1.234.50", "invalid_amount", "payout"),
        ("payout=5&currency=dollars", "invalid_currency", "currency"),
        ("payout=%E2%82%AC5&currency=USD", "invalid_currency", "currency"),
    ],
)
def test_what_is_no_payout_is_named(query: str, reason: str, named: str) -> None:
    found, error = problem(get(f"click_id=c-1&{query}"))
    assert found == reason
    assert error.startswith(named)


# Types and ids


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "conversion"),
        ("type=lead", "lead"),
        ("type=Sale", "sale"),
        ("type=Sign%20Up", "signup"),
        ("conversion_type=chargeback", "chargeback"),
        ("event=app-install", "install"),
        ("goal_name=Purchase", "sale"),
        ("type=banana", "conversion"),
        ("type=postback&event=refund", "refund"),
        ("type=rebill&event=refund", "rebill"),
    ],
)
def test_the_type_is_a_word_that_is_known(query: str, expected: str) -> None:
    assert postback(get(f"click_id=c-1&{query}")).type == expected


@pytest.mark.parametrize(
    ("network", "query", "external_id"),
    [
        ("tune", "", None),
        ("tune", "transaction_id=t-1", "t-1"),
        ("tune", "conversion_id=c-9&transaction_id=t-1", "c-9"),
        ("tune", "conversion_id=&transaction_id=t-1", "t-1"),
        ("everflow", "transaction_id=t-1", "t-1"),
        ("everflow", "conversion_id=c-9&transaction_id=t-1", "c-9"),
        ("everflow", "transaction_id=c-1", None),
    ],
)
def test_the_external_id_is_the_network_s_own_unless_it_is_the_click_s(
    network: str, query: str, external_id: str | None
) -> None:
    assert postback(get(f"click_id=c-1&{query}", network)).external_id == external_id


# What comes twice


@pytest.mark.parametrize("name", ["click_id", "payout", "currency", "type", "conversion_id", "goal_id"])
def test_two_values_of_a_field_that_decides_are_ambiguous(name: str) -> None:
    query = urlencode([("click_id", "c-1"), ("payout", "1"), (name, "2"), (name, "3")])
    assert problem(get(query)) == ("ambiguous_field", f"{name} is given twice with different values")


def test_the_same_value_twice_is_one() -> None:
    assert postback(get("click_id=c-1&click_id=c-1&payout=2&payout=2")).payout == "2"


def test_a_value_beside_an_unfilled_macro_is_the_value() -> None:
    assert postback(get("click_id={aff_sub}&click_id=c-1")).click_id == "c-1"


def test_several_values_of_another_field_are_kept() -> None:
    assert postback(get("click_id=c-1&tag=a&tag=b&tag=a")).parameters["tag"] == "a,b"


# Bodies


def test_a_form_a_json_object_and_a_query_say_the_same() -> None:
    fields = {"click_id": "c-1", "payout": "2.50000", "x": "ü"}
    read = [
        postback(replace(get(urlencode(fields)), account="acme", method="POST")),
        postback(post(urlencode(fields).encode(), FORM)),
        postback(post(orjson.dumps(fields))),
        postback(post(orjson.dumps(fields), content_type=None)),
        postback(post(b"payout=2.50000&x=%C3%BC", FORM, query="click_id=c-1")),
        postback(post(b"\xef\xbb\xbf" + orjson.dumps(fields))),
        postback(post(b"\xef\xbb\xbf" + orjson.dumps(fields), content_type=None)),
        postback(post(orjson.dumps(fields).decode().encode("utf-16"))),
        postback(post(b"\xef\xbb\xbf" + urlencode(fields).encode(), FORM)),
        postback(post(urlencode(fields, encoding="latin-1").encode(), f"{FORM}; charset=iso-8859-1")),
        postback(post(urlencode(fields).replace("&", "&amp;").encode(), FORM)),
    ]
    assert len({(each.click_id, each.payout, each.parameters["x"]) for each in read}) == 1


@pytest.mark.parametrize(
    ("number", "payout"), [("2.50000", "2.50000"), ("3", "3"), ("1e2", "100"), ("-1", "-1"), ("null", None)]
)
def test_numbers_of_json_stay_as_they_are_written(number: str, payout: str | None) -> None:
    assert postback(post(b'{"click_id": "c-1", "payout": %s}' % number.encode())).payout == payout


def test_json_inside_of_json_is_kept_as_text() -> None:
    read = postback(post(b'{"x": {"click_id": "no", "n": 1.50}, "ok": true, "click_id": "c-1"}'))
    assert read.click_id == "c-1"
    assert read.parameters == {"click_id": "c-1", "ok": "true", "x": '{"click_id": "no", "n": "1.50"}'}


def test_a_name_that_json_has_twice_is_ambiguous() -> None:
    assert problem(post(b'{"click_id": "a", "click_id": "b"}'))[0] == "ambiguous_field"


def test_query_and_body_may_not_contradict() -> None:
    assert problem(post(b"click_id=b", FORM, query="click_id=a"))[0] == "ambiguous_field"


def test_the_body_of_a_get_says_nothing() -> None:
    assert postback(replace(get("click_id=a"), body=b"click_id=b")).click_id == "a"


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"{", JSON, "not_json"),
        (b"[1]", JSON, "wrong_type"),
        (b"[" * 60_000, JSON, "not_json"),
        (b"--x\r\n", "multipart/form-data; boundary=x", "not_supported"),
    ],
)
def test_a_body_without_parameters_is_unreadable(body: bytes, content_type: str, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        NETWORKS["tune"].read(post(body, content_type, query="click_id=c-1"))
    assert caught.value.reason == reason


# Bounds


@pytest.mark.parametrize("name", ["click_id", "conversion_id", "goal_id"])
def test_ids_are_bounded(name: str) -> None:
    rest = "" if name == "click_id" else "click_id=c-1&"
    assert problem(get(f"{rest}{name}={'x' * (MAX_ID_LENGTH + 1)}"))[0] == "too_long"


def test_all_parameters_together_are_bounded() -> None:
    assert problem(get(f"click_id=c-1&x={'x' * MAX_BYTES}"))[0] == "too_long"
