"""How much hypothesis tries, and that no law fails because the machine is busy."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile("trackly", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("trackly")


def examples(whole: int) -> int:
    """Examples of a law that costs seconds: all of them where CI is set, a third elsewhere."""
    return whole if os.environ.get("CI") else whole // 3
