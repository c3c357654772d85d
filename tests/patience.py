"""How long tests wait, and requests to services on this machine that wait as long."""

from __future__ import annotations

import httpx

PATIENCE = 180.0
"""Seconds after which what a test waits for is taken never to come: it ends a test that hangs, on the busiest machine.
Where a bound is the rule under test, the test says which."""

# A service that was killed and started again has the same port: each request gets a connection of its own.
http = httpx.Client(timeout=PATIENCE, verify=False, limits=httpx.Limits(max_keepalive_connections=0))
