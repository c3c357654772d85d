"""Whose opt-outs may be among records that retention deleted unread."""

from __future__ import annotations

from typing import Any

import pytest

from bus.admin import TopicLog
from bus.producer import partition_of
from bus.settings import BusSettings
from operations.losses import Doubts, KnownLosses, sentence, unread
from schemas.ids import recipient_key
from schemas.records import OF_ANYONE, OF_NOBODY, OF_PARTITION, LossSettled, RecordsLost

PARTITIONS = 8
NUMBERS = [f"+1555123{last:04}" for last in range(200)]


def loss(opt_outs: str = OF_ANYONE, **changes: Any) -> RecordsLost:
    known: dict[str, Any] = {
        "event_id": "evt_1",
        "reader": "trackly-streams",
        "topic": "sms.raw",
        "partition": 3,
        "partitions": PARTITIONS,
        "first": 10,
        "count": 5,
        "uncertain": False,
        "noticed_at": 1,
    }
    return RecordsLost(opt_outs=opt_outs, **known | changes)


def settled(account: str, of: str = "evt_1") -> LossSettled:
    return LossSettled(loss=of, account=account, settled_by="command:ann", settled_at=2)


def concerned(doubts: Doubts, account: str = "acme") -> set[str]:
    return {number for number in NUMBERS if doubts.about(account, recipient_key(account, number))}


def in_partition(partition: int, account: str = "acme") -> set[str]:
    return {number for number in NUMBERS if partition_of(recipient_key(account, number), PARTITIONS) == partition}


def test_without_a_loss_nobody_is_concerned() -> None:
    assert not Doubts()
    assert concerned(Doubts()) == set()


def test_lost_callbacks_concern_every_contact() -> None:
    doubts = Doubts([loss()])
    assert doubts.about_all("acme")
    assert concerned(doubts) == set(NUMBERS)


def test_lost_replies_concern_the_contacts_of_their_partition_and_no_others() -> None:
    doubts = Doubts([loss(OF_PARTITION)])
    assert not doubts.about_all("acme")
    assert doubts.about_some("acme")
    assert concerned(doubts) == in_partition(3) != set()


def test_partitions_of_several_losses_add_up() -> None:
    doubts = Doubts([loss(OF_PARTITION), loss(OF_PARTITION, event_id="evt_2", partition=5)])
    assert concerned(doubts) == in_partition(3) | in_partition(5)


def test_what_was_lost_under_another_partition_count_is_found_by_that_count() -> None:
    doubts = Doubts([loss(OF_PARTITION, partition=0, partitions=1)])
    assert concerned(doubts) == set(NUMBERS)


def test_a_loss_without_opt_outs_concerns_nobody() -> None:
    assert not Doubts([loss(OF_NOBODY)])


@pytest.mark.parametrize("opt_outs", [OF_ANYONE, OF_PARTITION])
def test_a_loss_that_may_have_been_read_all_the_same_counts(opt_outs: str) -> None:
    assert concerned(Doubts([loss(opt_outs, uncertain=True)])) == concerned(Doubts([loss(opt_outs)]))


@pytest.mark.parametrize("opt_outs", [OF_ANYONE, OF_PARTITION])
def test_a_loss_that_is_settled_for_an_account_still_concerns_the_others(opt_outs: str) -> None:
    doubts = Doubts([loss(opt_outs)], {"evt_1": {"acme"}})
    assert concerned(doubts) == set()
    assert not doubts.about_some("acme")
    assert doubts.about_some("other")
    assert concerned(doubts, "other") != set()


@pytest.mark.parametrize("opt_outs", [OF_ANYONE, OF_PARTITION])
@pytest.mark.parametrize(("done", "still"), [("evt_1", "evt_2"), ("evt_2", "evt_1")])
def test_an_account_that_settled_one_of_two_losses_is_still_concerned(opt_outs: str, done: str, still: str) -> None:
    doubts = Doubts([loss(opt_outs), loss(opt_outs, event_id="evt_2")], {done: {"acme"}})
    assert concerned(doubts) == concerned(Doubts([loss(opt_outs)]))
    assert [each.event_id for each in doubts.of("acme")] == [still]


def test_a_loss_that_is_settled_for_all_concerns_nobody() -> None:
    assert not Doubts([loss()], {"evt_1": {"*"}})


def test_a_loss_stays_open_until_it_is_settled_for_every_account() -> None:
    known = KnownLosses()
    known.put(loss())
    known.put(settled("acme"))
    assert known.open() == [loss()]
    known.put(settled("*"))
    assert known.open() == []


def test_a_loss_that_is_noticed_again_stays_settled() -> None:
    known = KnownLosses()
    known.put(loss())
    known.put(settled("*"))
    known.put(loss(noticed_at=9))
    assert known.open() == []


def logs(settings: BusSettings, topic: str, begins: int) -> dict[str, TopicLog]:
    return {settings.catalogue[topic].name: TopicLog("id", {0: 0, 1: begins}, {0: 9, 1: 9})}


@pytest.mark.parametrize("topic", ["raw", "receipts", "inbound", "messages", "commands"])
@pytest.mark.parametrize(("begins", "count"), [(4, 0), (5, 0), (6, 1)])
def test_what_was_deleted_before_streams_came_to_it_is_a_loss_before_streams_says_so(
    topic: str, begins: int, count: int
) -> None:
    settings = BusSettings()
    name = settings.catalogue[topic].name
    found = unread(settings.catalogue, "streams", {(name, 0): 0, (name, 1): 5}, logs(settings, topic, begins))
    assert [(each.partition, each.partitions, each.first, each.count) for each in found.values()] == (
        [(1, 2, 5, 1)] if count else []
    )


def test_what_was_deleted_where_streams_has_committed_nothing_is_uncertain() -> None:
    settings = BusSettings()
    (found,) = unread(settings.catalogue, "streams", {}, logs(settings, "raw", 6)).values()
    assert (found.uncertain, found.first, found.count) == (True, 0, 6)


@pytest.mark.parametrize("topic", ["clicks", "links", "postbacks", "delivery"])
def test_topics_without_opt_outs_are_not_looked_at(topic: str) -> None:
    settings = BusSettings()
    assert unread(settings.catalogue, "streams", {}, logs(settings, topic, 6)) == {}


def test_people_are_told_what_was_lost_and_how_to_end_it() -> None:
    told = sentence([loss(), loss(partition=4, count=2), loss(OF_PARTITION, topic="sms.inbound", count=1)])
    assert "7 records of sms.raw, 1 records of sms.inbound" in told
    assert "trackly contacts import" in told
    assert "trackly losses settle" in told
    assert "start streams" not in told


def test_a_loss_that_streams_has_not_recorded_is_recorded_first() -> None:
    assert "start streams" in sentence([loss(event_id="")])
