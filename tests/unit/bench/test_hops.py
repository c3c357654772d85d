"""How the bench computes waits from times of messages in several places."""

from __future__ import annotations

from bench.hops import hops

STAGES = {
    "posted": {"m1": 0.0, "m2": 10.0, "lost": 20.0},
    "raw": {"m1": 5.0, "m2": 16.0, "lost": 25.0},
    "webhook": {"m1": 30.0, "m2": 61.0, "of another load": 9.0},
}


def test_a_hop_is_the_time_from_one_place_to_the_next_of_messages_seen_in_all() -> None:
    found = hops(STAGES)
    assert {hop: (waits[0.1], waits[0.99]) for hop, waits in found.items()} == {
        "posted -> raw": (5.0, 6.0),
        "raw -> webhook": (25.0, 45.0),
        "posted -> webhook": (30.0, 51.0),
    }
