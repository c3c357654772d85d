"""Style sheets and scripts from the package, named by their digest so that browsers can cache them forever."""

from __future__ import annotations

import hashlib
import mimetypes
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

PATH = "/assets/"

_FOLDER = files("console") / "assets"
_DIGEST = 10


def _load() -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in _FOLDER.iterdir() if each.is_file()}


_ASSETS = _load()


def asset(name: str) -> str:
    """Return the URL of an asset: `/assets/console.3f2a….css`. Raises KeyError."""
    stem, _, ending = name.rpartition(".")
    digest = hashlib.sha256(_ASSETS[name]).hexdigest()[:_DIGEST]
    return f"{PATH}{stem}.{digest}.{ending}"


_BY_URL = {asset(name): (content, mimetypes.guess_type(name)[0] or "text/plain") for name, content in _ASSETS.items()}


async def serve(request: Request) -> Response:
    """Serve an asset by its URL."""
    found = _BY_URL.get(request.url.path)
    if found is None:
        raise HTTPException(404)
    content, media_type = found
    return Response(content, media_type=media_type, headers={"Cache-Control": "public, max-age=31536000, immutable"})
