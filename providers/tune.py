"""TUNE (formerly HasOffers): conversions by partner postback, a GET of a URL that the partner writes.

https://support.tune.com/hc/en-us/articles/1500008248741-Passing-Values-to-a-Partner-Conversion-URL.
The template uses TUNE's macros in braces; a macro that TUNE does not know stays as written:

    /api/postbacks/tune?click_id={aff_sub}&payout={payout}&currency={currency}&conversion_id={transaction_id}

`{transaction_id}` belongs to the click session, so two goals reached in one session share it. The goal therefore helps
distinguish conversions. `tune_event_id` is the conversion's own id in TUNE's API, if a network passes it on.
"""

from __future__ import annotations

from providers.networks import Network

NETWORK = Network(
    name="tune",
    payouts=("payout",),
    currencies=("currency",),
    types=("type", "conversion_type", "event", "goal_name", "goal_ref"),
    goals=("goal_id", "goal_ref", "goal_name"),
    external_ids=("conversion_id", "tune_event_id", "transaction_id"),
)
