"""Everflow: conversions, events, and paid clicks by partner postback, a GET of a URL that the partner writes.

https://helpdesk.everflow.io/collaborator/managing-postbacks-as-a-partner
https://helpdesk.everflow.io/en/articles/6173403-a-guide-to-parameters-and-macros
The template uses Everflow's macros in braces. An unknown macro, or one in the wrong case, stays as written:

    /api/postbacks/everflow?click_id={sub1}&payout={payout}&transaction_id={transaction_id}&event_id={event_id}

`{transaction_id}` is Everflow's own click id, not a conversion's. It distinguishes a repeated postback from a new one
only together with the event, and not at all if it was also given as the click id.
"""

from __future__ import annotations

from providers.networks import Network

NETWORK = Network(
    name="everflow",
    payouts=("payout", "payout_amount"),
    currencies=("currency",),
    types=("type", "conversion_type", "event", "event_name"),
    goals=("event_id", "event_name", "adv_event_id"),
    external_ids=("conversion_id", "transaction_id"),
    pauses_on_errors=True,
)
