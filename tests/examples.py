"""How much hypothesis tries, and that no law fails because the machine is busy."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings


def examples(whole: int, elsewhere: int | None = None) -> int:
    """Examples of a law: all of them where CI is set, `elsewhere` (by default a third) anywhere else."""
    if os.environ.get("CI"):
        return whole
    return whole // 3 if elsewhere is None else elsewhere


settings.register_profile(
    "trackly", settings(), max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("trackly")
