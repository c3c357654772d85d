"""Signed evidence: any change to a file is detected."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.secrets import new_key
from operations.evidence import FORMAT, NotProven, canonical, key_id, public_key, signed, verified
from tests.examples import examples

KEY = new_key()
PUBLIC = public_key(KEY)
EVIDENCE = {"format": FORMAT, "account": "acme", "number": "+15551230001", "steps": [{"says": "“STOP”", "n": 1}]}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
evidences = st.dictionaries(texts, values, max_size=4).map(lambda found: {**found, "format": FORMAT})


def written(evidence: dict[str, Any] = EVIDENCE) -> bytes:
    return orjson.dumps(signed(evidence, KEY), option=orjson.OPT_INDENT_2)


@given(evidences)
@settings(max_examples=examples(200), deadline=None)
def test_what_was_signed_is_proven_however_it_is_laid_out(evidence: dict[str, Any]) -> None:
    data = written(evidence)
    assert verified(data, [PUBLIC]) == evidence
    again = json.dumps(json.loads(data), ensure_ascii=True, sort_keys=True).encode()
    assert verified(again, [PUBLIC]) == evidence


@given(evidences)
@settings(max_examples=examples(200), deadline=None)
def test_other_languages_make_the_same_bytes(evidence: dict[str, Any]) -> None:
    text = json.dumps(evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(evidence) == text.encode()


@given(evidences, texts, values)
@settings(max_examples=examples(200), deadline=None)
def test_any_change_shows(evidence: dict[str, Any], name: str, value: Any) -> None:
    found = signed(evidence, KEY)
    changed = {**found["evidence"], name: value}
    if changed == evidence:
        return
    with pytest.raises(NotProven):
        verified(orjson.dumps({**found, "evidence": changed}), [PUBLIC])


def test_a_signature_of_somebody_else_is_told_apart() -> None:
    other = public_key(new_key())
    with pytest.raises(NotProven, match=f"unchanged, but signed with another key: {key_id(PUBLIC)}"):
        verified(written(), [other])
    assert verified(written(), [other, PUBLIC]) == EVIDENCE


def test_a_public_key_in_the_file_is_not_believed_for_being_there() -> None:
    forged = orjson.dumps(signed({**EVIDENCE, "steps": []}, new_key()))
    with pytest.raises(NotProven, match="another key"):
        verified(forged, [PUBLIC])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not valid JSON"),
        (b"[]", "not trackly evidence"),
        (b"null", "not trackly evidence"),
        (b"[" * 100_000, "not trackly evidence|not valid JSON"),
        (b'{"evidence": {}, "signature": {}}', "not trackly evidence"),
        (orjson.dumps({"evidence": EVIDENCE, "signature": {}}), "cannot be read"),
        (orjson.dumps({"evidence": EVIDENCE, "signature": {"public_key": "x", "value": 1}}), "cannot be read"),
        (written().replace(b'"account"', b'"account": "acme", "account"', 1), "a duplicate field"),
        (written().replace(b'"n": 1', b'"n": 1.0', 1), "not an integer"),
        (written().replace(b'"n": 1', b'"n": NaN', 1), "not an integer"),
    ],
)
def test_a_file_that_is_no_evidence_is_told(data: bytes, told: str) -> None:
    with pytest.raises(NotProven, match=told):
        verified(data, [PUBLIC])
