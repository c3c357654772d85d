"""Losses as `trackly losses` and `trackly doctor` report them."""

from __future__ import annotations

from typing import Any

import pytest

from bus.losses import Loss, id_of, opt_outs_in, record_of
from bus.settings import BusSettings
from operations.losses import KnownLosses
from schemas.records import OF_ANYONE, OF_NOBODY, OF_PARTITION, LossSettled, RecordsLost
from trackly.commands.doctor.losses import Noticed, open_losses, told, unrecorded
from trackly.commands.losses import _chosen, _question
from trackly.errors import Failed

SETTINGS = BusSettings()
STREAMS, SINKS = SETTINGS.group("streams"), SETTINGS.group("sinks")


def loss(topic: str = "raw", reader: str = STREAMS, **changes: Any) -> Loss:
    known: dict[str, Any] = {"partition": 0, "first": 10, "count": 5}
    return Loss(reader, SETTINGS.catalogue[topic].name, **known | changes)


def recorded(found: Loss, opt_outs: str = OF_ANYONE, at: int = 1) -> RecordsLost:
    return record_of(found, 4, opt_outs, at)


def noticed(found: Loss, at: int = 1, opt_outs: str | None = None) -> Noticed:
    return Noticed(found, at, opt_outs or opt_outs_in(found.topic, found.reader, SETTINGS))


def known(*records: RecordsLost | LossSettled) -> KnownLosses:
    found = KnownLosses()
    for record in records:
        found.put(record)
    return found


def settled(found: Loss, account: str = "*") -> LossSettled:
    return LossSettled(loss=id_of(found), account=account, settled_by="command:ann", settled_at=2)


def test_by_default_all_open_losses_are_settled() -> None:
    one, two = recorded(loss()), recorded(loss(partition=1), at=2)
    done = loss(partition=2)
    assert _chosen(known(two, one, recorded(done), settled(done)), [], None) == [one, two]


def test_a_loss_is_settled_once_for_an_account() -> None:
    one, two = recorded(loss()), recorded(loss(partition=1))
    found = known(one, two, settled(loss(), "acme"))
    assert _chosen(found, [], "acme") == [two]
    assert _chosen(found, [], "other") == [one, two]
    assert _chosen(found, [], None) == [one, two]


def test_losses_can_be_settled_one_by_one() -> None:
    one, two = recorded(loss()), recorded(loss(partition=1))
    assert _chosen(known(one, two), [two.event_id], None) == [two]


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(Failed, match="There is no loss 'evt_9'"):
        _chosen(known(recorded(loss())), ["evt_9"], None)


@pytest.mark.parametrize(("opt_outs", "asked"), [(OF_ANYONE, True), (OF_PARTITION, True), (OF_NOBODY, False)])
def test_whoever_settles_is_asked_whether_the_opt_outs_are_imported(opt_outs: str, asked: bool) -> None:
    assert (
        "lists of opt-outs been imported for account acme" in _question([recorded(loss(), opt_outs)], "acme")
    ) is asked


@pytest.mark.parametrize("topic", ["raw", "receipts", "inbound", "messages", "commands"])
def test_a_loss_that_may_hold_opt_outs_is_an_error_with_the_way_to_end_it(topic: str) -> None:
    (finding,) = told([noticed(loss(topic))], SETTINGS)
    assert finding.level == "error"
    assert "lists of opt-outs" in finding.remedy
    assert "trackly losses settle" in finding.remedy


@pytest.mark.parametrize(("topic", "reader"), [("clicks", STREAMS), ("delivery", SINKS), ("receipts", SINKS)])
def test_any_other_loss_is_a_warning(topic: str, reader: str) -> None:
    (finding,) = told([noticed(loss(topic, reader))], SETTINGS)
    assert finding.level == "warning"
    assert "opt-outs" not in finding.remedy


def test_customers_are_told_of_webhooks_that_were_not_sent() -> None:
    (finding,) = told([noticed(loss("webhooks_due", SINKS))], SETTINGS)
    assert finding.remedy.startswith("Tell the customers")


def test_readers_are_told_of_events_that_were_not_mirrored() -> None:
    (finding,) = told([noticed(loss("delivery", SETTINGS.group("mirror")))], SETTINGS)
    assert "*.anon" in finding.remedy


def test_losses_of_a_topic_are_one_finding_that_counts_them() -> None:
    (finding,) = told([noticed(loss(), 2_000), noticed(loss(partition=1, count=2, uncertain=True), 1_000)], SETTINGS)
    assert finding.text.startswith("up to 7 records of sms.raw")
    assert "1970-01-01T00:00:01" in finding.text


def test_a_loss_with_opt_outs_is_reported_however_long_ago_it_was_until_it_is_settled() -> None:
    record = recorded(loss())
    assert open_losses(known(record), {}, SETTINGS) == [noticed(loss())]
    assert open_losses(known(record, settled(loss(), "acme")), {}, SETTINGS) == [noticed(loss())]
    assert open_losses(known(record, settled(loss())), {loss(): 1}, SETTINGS) == []


def test_a_loss_under_an_earlier_prefix_is_still_one_of_opt_outs() -> None:
    earlier = Loss("v1.trackly-streams", "v1.sms.inbound", 0, 10, 5)
    (finding,) = told(open_losses(known(recorded(earlier, OF_PARTITION)), {earlier: 1}, SETTINGS), SETTINGS)
    assert finding.level == "error"
    assert "lists of opt-outs" in finding.remedy


def test_a_loss_without_opt_outs_is_reported_as_long_as_the_audit_log_was_asked_for() -> None:
    found = loss("delivery", SINKS)
    record = recorded(found, OF_NOBODY)
    assert open_losses(known(record), {}, SETTINGS) == []
    assert open_losses(known(record), {found: 1}, SETTINGS) == [noticed(found)]
    assert open_losses(known(record, settled(found)), {found: 1}, SETTINGS) == []


def test_what_streams_has_not_recorded_yet_is_reported_with_how_to_record_it() -> None:
    (finding,) = unrecorded([recorded(loss()), recorded(loss(partition=1))])
    assert (finding.level, finding.text.split(" are")[0]) == ("error", "10 records of sms.raw")
    assert finding.remedy.startswith("Start streams")
