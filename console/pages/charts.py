"""Shapes of small charts, as numbers that a template draws. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 480, 96


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its place and size, and what it says."""

    x: float
    y: float
    width: float
    height: float
    text: str


def bars(values: Sequence[float], texts: Sequence[str], top: float | None = None) -> list[Bar]:
    """Bars that stand side by side and fill the chart; `top` is the value that has its full height."""
    if not values:
        return []
    most = top or max(values) or 1
    step = WIDTH / len(values)
    return [
        Bar(round(index * step, 2), round(HEIGHT - size, 2), round(step * 0.8, 2), round(size, 2), text)
        for index, (value, text) in enumerate(zip(values, texts, strict=True))
        for size in [HEIGHT * min(value / most, 1)]
    ]


def line(values: Sequence[float]) -> str:
    """Points of a line from left to right, as SVG has them."""
    most = max(values, default=0) or 1
    step = WIDTH / max(len(values) - 1, 1)
    return " ".join(f"{index * step:.1f},{HEIGHT - HEIGHT * value / most:.1f}" for index, value in enumerate(values))
