"""The pages about providers have the same structure, and their code runs."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import providers.meanings
from operations import samples
from operations.samples import Occasion, SampleSource, samples_of
from providers import PROVIDERS
from providers.base import CallbackRequest, Malformed, NotAuthentic, Provider
from schemas.records import InboundMessage, Receipt
from tests.unit.providers import contract_cases
from tests.unit.providers.contract_cases import SECRET
from tests.unit.providers.provider_callbacks import callback

DOCS = Path(__file__).parents[3] / "docs"
HEADINGS = [
    "Setup",
    "Authentication",
    "What it sends",
    "Statuses",
    "Retries and lost callbacks",
    "Unknowns",
    "Test it",
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_provider_has_a_page_like_the_others(name: str) -> None:
    page = (DOCS / "providers" / f"{name}.md").read_text("utf-8")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == HEADINGS
    assert f"/api/webhook-feedbacks/{name}" in page
    assert f"trackly providers test {name}" in page
    for credential in PROVIDERS[name].credentials:
        assert f"`{credential}`" in page or f"{credential} =" in page
    assert f"docs/providers/{name}.md" in (DOCS.parent / "README.md").read_text("utf-8")


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_links_between_pages_and_code_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(((?!https?:)[^)#]+)\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_provider_that_the_guide_adds_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    guide = DOCS / "adding-a-provider.md"
    table, templates = map(json.loads, blocks(guide, "json"))
    monkeypatch.setattr(providers.meanings, "tables", lambda name: table)
    monkeypatch.setattr(samples, "tables", lambda name: templates)
    file, case = (compile(code, str(guide), "exec") for code in blocks(guide, "python"))
    pigeon: dict[str, Any] = {"__name__": "providers.pigeon"}
    exec(file, pigeon)
    cases = dict(vars(contract_cases))
    exec(case, cases)
    provider: Provider = pigeon["PROVIDER"]
    source = SampleSource("/api/x", partial(samples_of, "pigeon"), provider.prove)
    occasion = Occasion("+12025550199", "+18005551234", "1", datetime(2026, 3, 1, tzinfo=UTC))

    kinds = []
    for sample in source.samples("marker", occasion):
        request = source.request(sample, "https://sms.example.com/x?account=acme", {"secret": SECRET})
        provider.verify(request, cases["PIGEON"].credentials)
        (item,) = provider.read(callback("pigeon", request.body))
        assert isinstance(item, Receipt | InboundMessage)
        assert sample.marker in item.raw
        kinds.append(sample.kind)
    assert kinds == ["delivered", "failed", "reply", "opt_out"]
    for status in cases["PIGEON"].statuses:
        (item,) = provider.read(cases["PIGEON"].report(status))
        assert isinstance(item, Receipt)
    (item,) = provider.read(cases["PIGEON"].report("eaten"))
    assert isinstance(item, Malformed)
    with pytest.raises(NotAuthentic):
        provider.verify(CallbackRequest("POST", "https://sms.example.com/x", "", {}, b""), {"secret": SECRET})
