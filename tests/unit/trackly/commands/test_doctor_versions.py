"""What `trackly doctor` says about running versions and their pseudonym keys."""

from __future__ import annotations

import pytest

from trackly.commands.doctor.versions import UNTOLD, different_keys, differing, missing_keys, same_names


@pytest.mark.parametrize(
    ("found", "code", "text"),
    [
        ({}, "ok", "no process has been seen in the last 90 s"),
        ({"streams": {"1.2.0"}, "ingest": {"1.2.0"}}, "ok", "ingest, streams run 1.2.0, as this command"),
        ({"streams": {"1.2.0", "1.1.0"}}, "differ", "streams runs 1.1.0 and 1.2.0"),
        ({"streams": {"1.1.0"}, "sinks": {"1.2.0"}}, "differ", "sinks runs 1.2.0, streams runs 1.1.0"),
        ({"sinks": {UNTOLD, "1.2.0"}}, "differ", "sinks runs 1.2.0 and one that does not report its version"),
        ({"sinks": {"1.3.0"}}, "not_this", "sinks runs 1.3.0; this command is 1.2.0"),
    ],
)
def test_versions_that_differ_are_told(found: dict[str, set[str]], code: str, text: str) -> None:
    [finding] = differing(found, "1.2.0")
    assert (finding.code, finding.text) == (code, text)
    assert bool(finding.remedy) is (code != "ok")


@pytest.mark.parametrize(
    ("found", "ours", "differ"),
    [
        ({"streams": {"a"}, "console": {"a"}}, "a", False),
        ({"streams": {"a"}}, None, False),
        ({}, "a", False),
        ({}, None, False),
        ({"streams": {"a"}, "console": {"b"}}, None, True),
        ({"streams": {"a", "b"}}, None, True),
        ({"streams": {"a"}}, "b", True),
    ],
)
def test_pseudonym_keys_that_differ_are_told(found: dict[str, set[str]], ours: str | None, differ: bool) -> None:
    assert [finding.code for finding in different_keys(found, ours)] == ["pseudonym_keys_differ"] * differ


@pytest.mark.parametrize(
    ("found", "ours", "lacking"),
    [
        ({"ingest": {("a",)}, "console": {("a",)}}, ("a",), None),
        ({"ingest": {("a",)}, "console": {("b", "a")}}, ("b", "a"), "ingest"),
        ({"ingest": {("a", "b")}, "console": {("b", "a")}}, ("b", "a"), None),
        ({"ingest": {("b",)}, "console": {("b", "a")}}, ("b",), None),
        ({"ingest": {("a",), ()}}, ("a",), "ingest"),
        ({"ingest": {("a",)}}, (), "this command"),
        ({"ingest": {()}, "mirror": {()}}, (), None),
        ({"ingest": {("a",)}, "mirror": {()}}, ("a",), None),
    ],
)
def test_who_lacks_the_key_that_another_encrypts_with_is_told(
    found: dict[str, set[tuple[str, ...]]], ours: tuple[str, ...], lacking: str | None
) -> None:
    told = list(missing_keys(found, ours))
    assert [finding.text.partition(" lack ")[0] for finding in told] == ([] if lacking is None else [lacking])


@pytest.mark.parametrize(
    ("name", "probes", "twice"),
    [
        ("streams/one", "aaa", False),
        ("streams/one", "aabb", False),
        ("streams/one", "abcd", False),
        ("streams/one", "aba", True),
        ("streams/one", "aabbcb", True),
        ("streams/", "abab", False),
    ],
)
def test_a_name_that_two_processes_have_at_once_is_told(name: str, probes: str, twice: bool) -> None:
    assert [finding.code for finding in same_names({name: probes})] == ["twice"] * twice
