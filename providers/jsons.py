"""JSON bodies as providers send them, and JSON text of one item of them."""

from __future__ import annotations

import json
from typing import Any

import orjson

from providers.base import Unreadable


def loads(body: bytes) -> Any:
    """Value of a JSON body. Raises Unreadable("not_json")."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # An emoji that was cut in two leaves half a surrogate pair, which orjson refuses, and with it a whole batch.
        # The standard library reads it; the half is replaced, and the siblings live.
        try:
            text = json.dumps(json.loads(body.decode()), ensure_ascii=False, allow_nan=False)
            return orjson.loads(text.encode("utf-8", "replace"))
        except (ValueError, RecursionError):
            raise Unreadable("not_json", f"the body is not JSON: {error}") from None
