"""What an examination finds, and how an error that it meets becomes a finding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from trackly.errors import sentence

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`area` is what was looked at, `code` names what was found; `remedy` is empty where nothing is wrong."""

    area: str
    code: str
    level: Level
    text: str
    remedy: str = ""

    def fields(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def fine(area: str, text: str) -> Finding:
    """Nothing is wrong."""
    return Finding(area, "ok", "ok", text)


def failed(area: str, code: str, error: BaseException, remedy: str) -> Finding:
    """Something cannot be looked at. Raises the error again if it is a bug."""
    text = sentence(error)
    if text is None:
        raise error
    return Finding(area, code, "error", text, remedy)


def or_fine(area: str, found: Iterable[Finding], text: str) -> Iterator[Finding]:
    """What was found, or that nothing is wrong."""
    findings = list(found)
    yield from findings or [fine(area, text)]
