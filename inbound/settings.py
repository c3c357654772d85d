"""Input limits shared by every public port."""

from __future__ import annotations

import logging
import resource

from pydantic import Field

from bus.settings import BusSettings
from inbound.protocol import Limits

log = logging.getLogger(__name__)

RESERVED_FILES = 256
"""File descriptors reserved for Kafka, databases, and files."""


class InboundSettings(BusSettings):
    """Limits on heads and connections."""

    max_header_bytes: int = Field(
        default=64 << 10,
        ge=1 << 10,
        le=1 << 20,
        validation_alias="TRACKLY_MAX_HEADER_BYTES",
        description="Maximum bytes of a request's head: its first line, including the query, and its fields."
        " Beyond that: 431.",
    )
    max_header_fields: int = Field(
        default=100,
        ge=10,
        le=10_000,
        validation_alias="TRACKLY_MAX_HEADER_FIELDS",
        description="Maximum header fields of a request. Beyond that: 431.",
    )
    header_timeout: float = Field(
        default=10.0,
        gt=0,
        validation_alias="TRACKLY_HEADER_TIMEOUT",
        description="Seconds in which the whole head must arrive; then a silent connection is closed.",
    )
    max_connections: int = Field(
        default=4_096,
        ge=1,
        validation_alias="TRACKLY_MAX_CONNECTIONS",
        description="Maximum simultaneous connections per process; further ones get 503. Fewer if the system"
        " allows the process fewer open files.",
    )

    def limits(self) -> Limits:
        """Return the limits, with no more connections than the process can open files. Raises the system limit if
        needed."""
        most = allowed_connections(self.max_connections)
        return Limits(self.max_header_bytes, self.max_header_fields, self.header_timeout, most)


def allowed_connections(wanted: int) -> int:
    """Return how many connections the open-file limit allows, after raising it as far as possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    raised = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    if raised > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    allowed = max(1, min(wanted, raised - RESERVED_FILES))
    if allowed < wanted:
        log.warning("only %d connections at once: the system allows %d open files (ulimit -n)", allowed, raised)
    return allowed
