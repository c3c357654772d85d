"""Settings of hypothesis: the number of examples, and no failures on busy machines."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings


def examples(whole: int, elsewhere: int | None = None) -> int:
    """Return settings for a property: all examples if CI is set, or else `elsewhere` (by default a third)."""
    if os.environ.get("CI"):
        return whole
    return whole // 3 if elsewhere is None else elsewhere


settings.register_profile(
    "trackly", settings(), max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("trackly")
