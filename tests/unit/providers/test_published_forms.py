"""Every form in a provider's own specification, with our own values, and the resulting records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from providers import PROVIDERS
from providers.base import Item, Malformed, Unreadable
from schemas.records import InboundMessage, LinkClick, RawCallback, Receipt
from tests.unit.providers.provider_callbacks import FORM, callback

DATA = Path(__file__).parents[2] / "data" / "published"
FORMS = [(path.stem, form) for path in sorted(DATA.glob("*.json")) for form in json.loads(path.read_text("utf-8"))]


def posted(provider: str, form: dict[str, Any]) -> RawCallback:
    """The callback: `body` is a JSON value or the text of an XML body, `form` are form fields, `query` is a GET's."""
    if "query" in form:
        return callback(provider, b"", method="GET", query=form["query"])
    if "form" in form:
        return callback(provider, form["form"].encode(), content_type=FORM)
    body = form["body"]
    return callback(provider, body.encode() if isinstance(body, str) else orjson.dumps(body))


def shown(item: Item) -> dict[str, Any]:
    """Return the subject of a form's specification."""
    match item:
        case Receipt():
            return {
                "receipt": item.provider_message_id,
                "to": item.to,
                "from": item.from_,
                "detail": item.status_detail,
                "class": item.status_class,
            }
        case InboundMessage():
            beside = {"media": list(item.media), "keyword": item.keyword, "in_reply_to": item.in_reply_to}
            return {
                "inbound": item.provider_message_id,
                "from": item.from_,
                "to": item.to,
                "text": item.text,
                "kind": item.kind,
                **{name: value for name, value in beside.items() if value},
            }
        case LinkClick():
            return {"click": item.provider_message_id, "to": item.to, "url": item.url}
        case Malformed():
            return {"rejected": item.reason}
    raise AssertionError(item)


@pytest.mark.parametrize(
    ("provider", "form"), FORMS, ids=[f"{name} {form['source']} {form['example']}" for name, form in FORMS]
)
def test_a_published_form_becomes_the_records_that_it_means(provider: str, form: dict[str, Any]) -> None:
    try:
        found = [shown(item) for item in PROVIDERS[provider].read(posted(provider, form))]
    except Unreadable as unreadable:
        found = [{"unreadable": unreadable.reason}]
    assert [_without_made_ids(each) for each in found] == form["expected"]


def _without_made_ids(item: dict[str, Any]) -> dict[str, Any]:
    """Return the item, with ID in place of an id that trackly derives because the provider sends none."""
    is_made = str(item.get("inbound")).startswith(("evt_", "cm-"))
    return {**item, "inbound": "ID"} if is_made else item
