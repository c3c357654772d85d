"""What `trackly up` writes into the data directory, so that other commands find its broker and keys without settings.

`fields` are the settings read so far, by name; `data_dir` is among them unless it was wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

ADDRESSES = "addresses.json"
"""In the data directory: the broker and partition count of a running `trackly up`, as a JSON object."""

KEY_FILE, EVIDENCE_KEY_FILE = "secret.keys", "evidence.key"
"""In the data directory: keys for secrets at rest, one per line, newest first. `trackly up` creates it."""

DEFAULT_SERVERS = "localhost:9092"
DEFAULT_PARTITIONS = 12


def written_down(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the addresses that `trackly up` has recorded, or nothing."""
    try:
        found = json.loads((fields["data_dir"] / ADDRESSES).read_text("utf-8"))
    except (OSError, ValueError, KeyError):
        return {}
    return found if isinstance(found, dict) else {}


def known_servers(fields: Mapping[str, Any]) -> str:
    """Return the broker recorded by `trackly up`, or else the default port on this machine."""
    return str(written_down(fields).get("bootstrap_servers") or DEFAULT_SERVERS)


def known_partitions(fields: Mapping[str, Any]) -> int:
    """Return the partition count that `trackly up` recorded for this broker, or else the default."""
    known = written_down(fields)
    if not _is_its_broker(known, fields):
        return DEFAULT_PARTITIONS
    return int(known.get("partitions") or DEFAULT_PARTITIONS)


def known_prefix(fields: Mapping[str, Any]) -> str:
    """Return the topic prefix that `trackly up` or `demo` recorded for this broker, if any."""
    known = written_down(fields)
    return str(known.get("topic_prefix") or "") if _is_its_broker(known, fields) else ""


def _is_its_broker(known: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    return known.get("bootstrap_servers") == fields.get("bootstrap_servers")


def kept_keys(fields: Mapping[str, Any]) -> str:
    """Return the keys that `trackly up` keeps in the data directory, if any. Raises OSError if they cannot be read."""
    try:
        return str((fields["data_dir"] / KEY_FILE).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, KeyError):
        return ""


def kept_evidence_key(fields: Mapping[str, Any]) -> Any:
    """Return the key that `trackly up` keeps in the data directory, or None. Raises OSError if it cannot be read."""
    try:
        return str((fields["data_dir"] / EVIDENCE_KEY_FILE).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, KeyError):
        return None
