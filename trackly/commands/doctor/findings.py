"""Findings of the doctor, and their creation from errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from trackly.errors import sentence

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`area` is what was checked, `code` names the finding; `remedy` is empty if nothing is wrong."""

    area: str
    code: str
    level: Level
    text: str
    remedy: str = ""

    def fields(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def fine(area: str, text: str) -> Finding:
    """Return a finding that nothing is wrong."""
    return Finding(area, "ok", "ok", text)


def failed(area: str, code: str, error: BaseException, remedy: str) -> Finding:
    """Return a finding that something cannot be checked. Raises the error again if it is a bug."""
    text = sentence(error)
    if text is None:
        raise error
    return Finding(area, code, "error", text, remedy)


def or_fine(area: str, found: Iterable[Finding], text: str) -> Iterator[Finding]:
    """Return the findings, or one that nothing is wrong."""
    findings = list(found)
    yield from findings or [fine(area, text)]
