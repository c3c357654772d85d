"""`trackly opt-out`: shows how a reply would be classified."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

import typer

from streams.optout import OptOutWords, names_of, words_of
from trackly.output import Json, json_line, show
from trackly.reading import account_named, current_accounts

_MEANINGS = {
    "opt_out": "opt-out: removes the contact, until it answers START",
    "complaint": "complaint: removes the contact, and START does not restore it",
    "opt_in": "opt-in: restores a contact that was removed for the reason message",
    "reply": "reply: changes nothing",
}


def opt_out(
    text: Annotated[str, typer.Argument(help="The reply.")],
    account: Annotated[str | None, typer.Option(help="Use the words that this account adds or disables.")] = None,
    as_json: Json = False,
) -> None:
    """Show whether a reply is an opt-out, an opt-in, or neither, and which layer and keyword decide.

    Nothing is sent. Without --account, no Kafka is needed.
    """
    # Input need not be UTF-8, but output must.
    text = text.encode("utf-8", "replace").decode("utf-8")
    config = None if account is None else account_named(current_accounts(), account)
    outcome = _outcome(words_of(config), text, names_of(config))
    if as_json:
        json_line({"text": text, **outcome})
        return
    show(_MEANINGS[outcome["outcome"]])
    if outcome["layer"] is not None:
        show(f"  layer    {outcome['layer']}")
        show(f"  keyword  {outcome['keyword']}")


def _outcome(words: OptOutWords, text: str, names: Collection[str]) -> dict[str, Any]:
    """Return the outcome, and the layer, keyword, and reason of an opt-out."""
    found = words.match(text, names)
    if found is None:
        outcome = "opt_in" if words.is_opt_in(text) else "reply"
        return {"outcome": outcome, "layer": None, "keyword": None, "reason": None}
    outcome = "complaint" if found.reason == "complaint" else "opt_out"
    return {"outcome": outcome, "layer": found.layer, "keyword": found.keyword, "reason": found.reason}
