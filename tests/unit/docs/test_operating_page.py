"""The page for operators agrees with the code: limits of the doors, lengths of secrets, sizes of logs."""

from __future__ import annotations

import re
from pathlib import Path

from accounts.checks import LEAST_SECRET, LEAST_SIGNING_SECRET
from bus.rotation import KEPT, MOST_BYTES
from console.signin.first import FILE
from console.signin.passwords import MIN_LENGTH
from inbound.settings import RESERVED_FILES, InboundSettings
from ingest.intake import MAX_QUERY_BYTES
from ingest.settings import IngestSettings

PAGE = " ".join(Path("docs/operating.md").read_text("utf-8").split())
NGINX = Path("docs/recipes/proxies/nginx.conf").read_text("utf-8")
CADDY = Path("docs/recipes/proxies/Caddyfile").read_text("utf-8")
FIELDS = IngestSettings.model_fields


def bytes_of(text: str) -> int:
    return int(text[:-1]) << {"k": 10, "m": 20}[text[-1]]


def test_bounds_of_the_doors() -> None:
    fields = InboundSettings.model_fields
    head, count = fields["max_header_bytes"].default >> 10, fields["max_header_fields"].default
    assert f"heads ({head} KiB, {count} fields, {fields['header_timeout'].default:.0f} s)" in PAGE
    assert f"{fields['max_connections'].default:,} connections per process" in PAGE
    assert f"and {RESERVED_FILES} more" in PAGE
    assert f"{FIELDS['max_pending_bytes'].default >> 20} MiB of bodies" in PAGE


def test_the_recipes_let_through_what_trackly_takes() -> None:
    for size in re.findall(r"client_max_body_size +(\w+);", NGINX):
        assert bytes_of(size) > FIELDS["max_body_bytes"].default
    lines = [bytes_of(size) for size in re.findall(r"large_client_header_buffers 4 (\w+);", NGINX)]
    assert lines[0] > MAX_QUERY_BYTES
    (head,) = re.findall(r"max_header_size (\d+)KB", CADDY)
    assert int(head) * 1_000 > InboundSettings.model_fields["max_header_bytes"].default
    assert "max_size" not in CADDY.replace("No request_body max_size", "")


def test_lengths_of_secrets_and_sizes_of_logs() -> None:
    assert f"tokens of postbacks | {LEAST_SECRET} characters |" in PAGE
    assert f"alerts | {LEAST_SIGNING_SECRET} characters;" in PAGE
    assert f"passwords of the console | {MIN_LENGTH} characters |" in PAGE
    words = {4: "four"}
    assert f"each rotates at {MOST_BYTES >> 20} MiB, and {words[KEPT]} older ones are kept" in PAGE
    assert f"`{FILE}`" in PAGE
