"""Parse times as providers write them into milliseconds since 1970 UTC.

An unreadable time is None, never an error: a report with a bad time is still a report. `providers.bounds` checks
whether a time is plausible.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from schemas.cloudevents import LAST_MILLISECOND

_basic = re.compile(r"[0-9]{8}T").match
_blank_for_plus = re.compile(r"([0-9]{4}\S{4,6}[T ][0-9:.,]{4,24}) ([0-9]{2}:?[0-9]{2})").fullmatch
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def iso_millis(text: object) -> int | None:
    """Parse an ISO 8601 date and time: `2024-01-15T10:30:00.000+0100`, also `+01:00` and `Z`.

    Also the basic format, `20240115T103000Z`, and `t` and `z` as RFC 3339 allows. The fraction is optional and
    truncated to milliseconds. A time without a zone is UTC. Returns None for anything else.
    """
    if not isinstance(text, str):
        return None
    if text[10:11] not in ("T", " ") or not "0" <= text[-1] <= "Z":  # a blank, or a small z
        text = text.strip().upper()
        if text[10:11] not in ("T", " ") and not _basic(text):
            return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        # In a URL that was not encoded, the plus of an offset is read as a blank.
        found = _blank_for_plus(text)
        return None if found is None else iso_millis(f"{found[1]}+{found[2]}")
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return (time - _EPOCH) // _MILLISECOND


def epoch_millis(value: object) -> int | None:
    """Parse milliseconds since 1970 UTC, given as a number or digits, for the years 1970 to 9999; None for anything
    else."""
    if isinstance(value, str) and len(value) <= 15 and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= LAST_MILLISECOND else None


def done_date_millis(text: object) -> int | None:
    """Parse an SMPP done date, `YYMMDDhhmm`, of this century, as UTC; None for anything else.

    Neither SMPP 3.4 (appendix B) nor Twilio, for its RawDlrDoneDate, names the zone. trackly takes it as UTC; if a
    carrier writes local time, the result is off by its zone.
    """
    if not isinstance(text, str) or len(text) != 10 or not (text.isascii() and text.isdigit()):
        return None
    year, month, day, hour, minute = (int(text[i : i + 2]) for i in range(0, 10, 2))
    try:
        time = datetime(2000 + year, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return None
    return (time - _EPOCH) // _MILLISECOND
