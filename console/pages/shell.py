"""How pages are rendered: templates, their common context, and redirects after forms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.pages.assets import asset
from console.pages.notices import NOTICES
from console.pages.places import menu
from console.pages.visitor import Visitor
from console.principals import Role
from console.queries.statistics import DAY, HOUR
from schemas.cloudevents import iso_time

TONES: Mapping[str, str] = {
    "delivered": "good",
    "active": "good",
    "allowed": "good",
    "verified": "good",
    "done": "good",
    "2xx": "good",
    "undeliverable": "bad",
    "rejected": "bad",
    "expired": "bad",
    "removed": "bad",
    "dead": "bad",
    "failing": "bad",
    "problem": "bad",
    "revoked": "bad",
    "may be an opt-out": "bad",
    "held": "warn",
    "paused": "warn",
    "quiet": "warn",
    "muted": "warn",
    "pending": "warn",
    "queued": "warn",
    "silent": "warn",
    "unverified": "warn",
    "open": "warn",
    "warning": "warn",
}
"""Color of a state's badge; its text says the same."""


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"asset": asset, "Role": Role, "tone": lambda state: TONES.get(state, "")}
    environment.filters |= {"time": time_element, "count": lambda number: f"{number:,}", "elapsed": elapsed}
    return environment


def elapsed(millis: int) -> str:
    """Format a duration: `250 ms`, `90 s`, `4 h`, `3 d`."""
    for unit, least, name in ((DAY, 2 * DAY, "d"), (HOUR, 2 * HOUR, "h"), (1_000, 10_000, "s")):
        if millis >= least:
            return f"{millis // unit:,} {name}"
    return f"{millis:,} ms"


def time_element(millis: int | None) -> Markup:
    """Return a time element with its zone. The page's script converts it to the reader's zone."""
    if millis is None:
        return Markup("–")
    text = datetime.fromisoformat(iso_time(millis)).strftime("%d %b %Y, %H:%M:%S UTC")
    return Markup('<time datetime="{}">{}</time>').format(iso_time(millis), text)


def base_of(account: str) -> str:
    """Return the path of an account's overview; its other pages are below it."""
    return f"/accounts/{quote(account)}"


def page(
    request: Request, template: str, visitor: Visitor | None = None, status: int = 200, **known: Any
) -> HTMLResponse:
    """Render a page. `known` is its template's context besides the visitor, the menu, and the notice after a form."""
    base = "" if visitor is None else base_of(visitor.account)
    text = TEMPLATES.get_template(template).render(
        visitor=visitor,
        base=base,
        here=request.url.path.removeprefix(base),
        menu=[] if visitor is None else list(menu(visitor.role)),
        notice=NOTICES.get(request.query_params.get("notice", "")),
        **known,
    )
    return HTMLResponse(text, status)


def done(visitor: Visitor, path: str, notice: str, **query: str) -> Response:
    """Redirect after a form to the account's page at `path`, with the notice of this name (see `notices`)."""
    assert notice in NOTICES
    return RedirectResponse(f"{base_of(visitor.account)}{path}?{urlencode({**query, 'notice': notice})}", 303)


TEMPLATES = _templates()
