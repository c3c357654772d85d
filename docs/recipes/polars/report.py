"""Reads Parquet exports with Polars: how messages ended, by day, and who must not be texted.

    trackly tap sms.events.delivery --from beginning --out delivery.parquet
    trackly tap sms.contacts --from beginning --out contacts.parquet
    pip install polars==2.1.0
    python report.py

An export with a position writes further files beside the first: delivery-2.parquet and so on. Every column has the type
of its field: times are in UTC with milliseconds, lists are lists, maps are maps.
"""

import json

import polars as pl

# Events come at least once: one of each id. The newest final state of each message is how it ended, and of two with the
# same time the later one. The message is the provider's: message_id changes once the sender registers it late.
ended = (
    pl.scan_parquet("delivery*.parquet")
    .sort("kafka_partition", "kafka_offset")
    .unique("event_id", keep="first", maintain_order=True)
    .filter("final")
    .sort("timestamp", maintain_order=True)
    .unique(["account", "provider", "provider_message_id"], keep="last", maintain_order=True)
)
by_day = (
    ended.group_by(pl.col("timestamp").dt.date().alias("day"), "provider", "status")
    .agg(pl.len().alias("messages"))
    .sort("day", "provider", "messages", "status", descending=[False, False, True, False])
)
for row in by_day.collect().to_dicts():
    print(json.dumps(row, default=str))

# The newest record of a contact counts. One that deletes its key: there is nothing against the contact any more.
contacts = (
    pl.scan_parquet("contacts*.parquet")
    .sort("kafka_partition", "kafka_offset")
    .unique("kafka_key", keep="last", maintain_order=True)
    .filter(~pl.col("kafka_deleted"), ~pl.col("active"))
)
for row in contacts.select("account", "list_number", "phone_number", "reason", "since").collect().to_dicts():
    print(json.dumps(row, default=str))
