"""Mistakes in environment variables: values that a service would refuse, and names that nothing reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from pydantic import ValidationError

from bus.environment import settings_error
from bus.logs import FORMAT, LEVEL, LogSettingWrong, check_logging
from bus.settings import BusSettings
from bus.telemetry.environment import TelemetryWrong, metric_interval, protocols
from trackly.commands.backup.command import VARIABLE as PASSPHRASE
from trackly.commands.settings import SERVICES

OURS = "TRACKLY_"

CLOSE = 0.9
"""How alike two names must be: what Kubernetes sets for a service (`TRACKLY_CONSOLE_SERVICE_PORT`) is less alike."""


def invalid_values(classes: Iterable[type[BusSettings]] = tuple(SERVICES.values())) -> list[str]:
    """Return a sentence for each value of this process's environment that services of these settings refuse."""
    told = set()
    for each in classes:
        try:
            each()
        except ValidationError as error:
            told.update(settings_error(error).splitlines())
    try:
        check_logging()
        protocols(os.environ)
        metric_interval(os.environ)
    except (LogSettingWrong, TelemetryWrong) as error:
        told.add(str(error))
    return sorted(told)


def misspelled_names(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each variable that no service reads and that looks like one that they do."""
    known = {str(field.validation_alias) for each in SERVICES.values() for field in each.model_fields.values()}
    known |= {LEVEL, FORMAT, PASSPHRASE}
    for name in sorted(environment):
        if name in known:
            continue
        meant = name.removeprefix(OURS) if name.removeprefix(OURS) in known else _like(name, known)
        if meant:
            yield f"{name} is not a setting; did you mean {meant}?"


def _like(name: str, known: Iterable[str]) -> str | None:
    # Variables of others begin with another word: ACME_WEBHOOK_SECRET is not LIME_WEBHOOK_SECRET.
    first, _, _ = name.partition("_")
    alike = get_close_matches(name, [each for each in known if each.partition("_")[0] == first], n=1, cutoff=CLOSE)
    return alike[0] if alike else None
