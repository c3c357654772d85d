"""The time limit of tests, and requests to services on this machine with that limit."""

from __future__ import annotations

import httpx

PATIENCE = 180.0
"""Seconds after which a test gives up waiting: long enough for the busiest machine, to end only tests that hang. If a
bound is what is being tested, the test states it."""

# A restarted service has the same port, so each request gets its own connection.
http = httpx.Client(timeout=PATIENCE, verify=False, limits=httpx.Limits(max_keepalive_connections=0))
