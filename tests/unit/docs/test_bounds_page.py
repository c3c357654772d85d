"""The page on bounds shows the code's table."""

from __future__ import annotations

import re
from pathlib import Path

from providers import NETWORKS, PROVIDERS
from providers.base import MAX_FIELDS
from providers.bounds import BOUNDS

PAGE = Path("docs/bounds.md").read_text("utf-8")


def test_every_bounded_field_stands_on_the_page_with_its_bound() -> None:
    shown = re.findall(r"^\| `(\w+\.\w+)` \| ([\d,]+) \| ([a-z ]+) \|$", PAGE, re.MULTILINE)
    assert shown == [
        (f"{record.__name__}.{name.rstrip('_')}", f"{bound.characters:,}", bound.longer)
        for record, fields in BOUNDS.items()
        for name, bound in fields.items()
    ]


def test_the_largest_body_of_every_sender_stands_on_the_page() -> None:
    shown = dict(re.findall(r"^\| ([^|]+) \| ([\d,]+) \| (?:1,000)? ?\|$", PAGE, re.MULTILINE))
    assert f"{MAX_FIELDS:,}" == "1,000"
    for name, provider in PROVIDERS.items():
        (bytes_,) = [size for names, size in shown.items() if name in names.lower().replace(" ", "")]
        assert bytes_ == f"{provider.max_body_bytes:,}"
    (bytes_,) = [size for names, size in shown.items() if "networks" in names]
    assert {f"{network.max_body_bytes:,}" for network in NETWORKS.values()} == {bytes_}
