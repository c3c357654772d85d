"""Messages and their reports, whichever comes first."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from accounts.model import Config
from bus.producer import partition_of
from schemas.ids import recipient_key
from schemas.records import (
    ContactState,
    DeliveryEvent,
    Link,
    ListConfig,
    MessageCallback,
    MessageSent,
    Record,
    RejectedRecord,
    SentEvent,
    TrackedLink,
)
from streams.message_row import MAX_WAITING
from tests.unit.streams.contact_records import (
    ABSENT,
    ACCEPTED,
    ACCOUNT,
    DELIVERED,
    ENROUTE,
    LIST,
    NUMBER,
    SPAM,
    START_OF_DAY,
    UNKNOWN_NUMBER,
    UNSUBSCRIBED,
    Report,
    click,
    command,
    message_sent,
    names,
    receipt,
)
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, REGISTERING, WAIT, Stage

OTHER_LIST = "+18005559999"
TWO_LISTS: list[Config] = [REGISTERING, ONE_LIST, ListConfig(account=ACCOUNT, number=OTHER_LIST)]


def unversioned(event: Record) -> str:
    """An event as text, without the version that depends on when it was written."""
    return repr(replace(event, version=0) if isinstance(event, ContactState) else event)


def told(events: list[Record]) -> list[tuple[str, str]]:
    """Message ids and status details of the delivery events."""
    return [(event.message_id, event.status_detail) for event in events if isinstance(event, DeliveryEvent)]


class TestReportFirst:
    """In an account that registers its messages."""

    def test_waits_and_then_bears_the_senders_own_id(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        assert stage.apply(receipt("m1", DELIVERED, 5)) == []
        assert told(stage.apply(message_sent("m1", "order-77"))) == [("order-77", "DELIVERED_TO_HANDSET")]
        assert stage.orphaned == 0

    def test_goes_out_under_the_providers_id_when_the_time_is_over(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        stage.apply(receipt("m1", DELIVERED, 5))
        assert stage.tick(WAIT - 1) == []
        assert told(stage.tick(1)) == [("m1", "DELIVERED_TO_HANDSET")]
        assert stage.tick(WAIT) == []
        assert stage.orphaned == 1

    def test_has_the_same_events_as_one_that_comes_second(self) -> None:
        reports = [receipt("m1", ACCEPTED, 1), receipt("m1", ABSENT, 5), receipt("m1", DELIVERED, 7)]
        first, second = Stage(REGISTERING, ONE_LIST), Stage(REGISTERING, ONE_LIST)
        events = [*first.apply(*reports), *first.apply(message_sent("m1"))]
        expected = second.apply(message_sent("m1"), *reports)
        assert sorted(map(unversioned, events)) == sorted(map(unversioned, expected))

    def test_delays_no_other_report(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        stage.apply(receipt("m1", DELIVERED, 5), message_sent("m2", "order-2"))
        assert told(stage.apply(receipt("m2", DELIVERED, 6))) == [("order-2", "DELIVERED_TO_HANDSET")]

    def test_is_not_overtaken_by_a_later_report_of_its_message(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        stage.apply(receipt("m1", ENROUTE, 1))
        stage.tick(WAIT / 2)
        stage.apply(receipt("m1", DELIVERED, 5))
        assert told(stage.tick(WAIT / 2)) == [("m1", "PENDING_ENROUTE"), ("m1", "DELIVERED_TO_HANDSET")]

    def test_that_was_released_lets_no_further_one_wait(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        stage.apply(receipt("m1", ENROUTE, 1))
        stage.tick(WAIT)
        assert told(stage.apply(receipt("m1", DELIVERED, 5))) == [("m1", "DELIVERED_TO_HANDSET")]

    def test_that_is_repeated_while_it_waits_is_told_once(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        stage.apply(receipt("m1", DELIVERED, 5), receipt("m1", DELIVERED, 5, received_at=9_000))
        assert told(stage.apply(message_sent("m1"))) == [("order-77", "DELIVERED_TO_HANDSET")]

    def test_of_two_providers_with_one_id_each_waits_for_its_own_message(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        stage.apply(receipt("m1", DELIVERED, 5), receipt("m1", ABSENT, 6, provider="twilio"))
        events = stage.apply(message_sent("m1", "order-1"))
        assert told(events) == [("order-1", "DELIVERED_TO_HANDSET")]
        events = stage.apply(message_sent("m1", "order-2", provider="twilio"))
        assert told(events) == [("order-2", "REJECTED_ABSENT_SUBSCRIBER")]

    def test_that_names_no_recipient_does_not_wait(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        assert told(stage.apply(receipt("m1", DELIVERED, 5, to=None))) == [("m1", "DELIVERED_TO_HANDSET")]

    def test_waits_no_longer_when_too_many_of_its_message_wait(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        reports = [receipt("m1", Report("pending", f"STEP_{n}", "neutral", False), n) for n in range(MAX_WAITING + 2)]
        assert stage.apply(*reports[:MAX_WAITING]) == []
        assert len(told(stage.apply(reports[MAX_WAITING]))) == MAX_WAITING + 1
        assert len(told(stage.apply(reports[MAX_WAITING + 1]))) == 1

    @pytest.mark.parametrize("end", [Stage.restart, Stage.lose_disk])
    def test_is_still_there_after_the_worker_was_started_again(self, end: object) -> None:
        registered, released = Stage(REGISTERING, ONE_LIST), Stage(REGISTERING, ONE_LIST)
        for stage in (registered, released):
            stage.apply(receipt("m1", DELIVERED, 5))
            end(stage)  # type: ignore[operator]
        assert told(registered.apply(message_sent("m1"))) == [("order-77", "DELIVERED_TO_HANDSET")]
        assert registered.tick(10 * WAIT) == []
        assert told(released.tick(WAIT)) == [("m1", "DELIVERED_TO_HANDSET")]

    @pytest.mark.parametrize("table", ["contacts", "messages"])
    def test_that_is_read_again_after_a_crash_is_told_and_counted_once(self, table: str) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        report = receipt("m1", ABSENT, 5)
        stage.crash_on(report, refusing=table)
        stage.apply(report)
        assert told(stage.apply(message_sent("m1"))) == [("order-77", "REJECTED_ABSENT_SUBSCRIBER")]
        assert stage.contact(NUMBER).failures == 1

    @pytest.mark.parametrize("table", ["contacts", "messages"])
    def test_whose_registration_is_read_again_after_a_crash_gives_the_same_events(self, table: str) -> None:
        stage = Stage(*TWO_LISTS)
        stage.apply(receipt("m1", ABSENT, 5))
        message = message_sent("m1", list_number=OTHER_LIST)
        events = stage.crash_on(message, refusing=table)
        again = stage.apply(message)
        assert told(events) == told(again) == [("order-77", "REJECTED_ABSENT_SUBSCRIBER")]
        assert [e.event_id for e in again if not isinstance(e, ContactState)] == [  # type: ignore[union-attr]
            e.event_id
            for e in events
            if not isinstance(e, ContactState)  # type: ignore[union-attr]
        ]
        assert [stage.contact(NUMBER, number).failures for number in (LIST, OTHER_LIST)] == [0, 1]


class TestContactOfAReportThatWaits:
    @pytest.mark.parametrize("report", [SPAM, UNKNOWN_NUMBER, UNSUBSCRIBED])
    def test_is_removed_at_once(self, report: Report) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        told = "UnsubscribeEvent" if report is UNSUBSCRIBED else "RemovedEvent"
        assert names(stage.apply(receipt("m1", report, 5))) == [told, "ContactState"]
        assert names(stage.apply(message_sent("m1"))) == ["SentEvent", "DeliveryEvent"]

    def test_is_counted_at_once(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        events = stage.apply(*(receipt(f"m{n}", ABSENT, n) for n in (1, 2, 3)))
        assert names(events) == ["ContactState", "ContactState", "RemovedEvent", "ContactState"]
        assert names(stage.tick(WAIT)) == ["DeliveryEvent"] * 3

    def test_that_was_restored_meanwhile_is_not_removed_again_by_the_registration(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        stage.apply(receipt("m1", SPAM, 5), command("restore", 10_000), message_sent("m1"))
        assert stage.contact(NUMBER).active

    def test_is_of_the_registered_list_in_the_end(self) -> None:
        stage = Stage(*TWO_LISTS)
        stage.apply(receipt("m1", ABSENT, 5, from_=LIST))
        assert stage.contact(NUMBER, LIST).failures == 1
        events = stage.apply(message_sent("m1", list_number=OTHER_LIST))
        states = {event.list_number: event.failures for event in events if isinstance(event, ContactState)}
        assert states == {LIST: 0, OTHER_LIST: 1}
        assert [event.list_number for event in events if isinstance(event, DeliveryEvent)] == [OTHER_LIST]

    def test_of_another_list_than_the_registered_stays_removed_there_too(self) -> None:
        stage = Stage(*TWO_LISTS)
        stage.apply(receipt("m1", SPAM, 5, from_=LIST), message_sent("m1", list_number=OTHER_LIST))
        assert [stage.contact(NUMBER, number).active for number in (LIST, OTHER_LIST)] == [False, False]

    def test_is_touched_by_the_registration_where_the_report_names_no_list(self) -> None:
        stage = Stage(*TWO_LISTS)
        stage.apply(receipt("m1", SPAM, 5, from_=None))
        events = stage.apply(message_sent("m1", list_number=OTHER_LIST))
        assert names(events) == ["SentEvent", "DeliveryEvent", "ContactState"]
        assert not stage.contact(NUMBER, OTHER_LIST).active

    def test_is_touched_by_a_registration_that_comes_after_the_release_too(self) -> None:
        stage = Stage(*TWO_LISTS)
        stage.apply(receipt("m1", SPAM, 5, from_=None))
        stage.tick(WAIT)
        events = stage.apply(message_sent("m1", list_number=OTHER_LIST))
        assert names(events) == ["SentEvent", "ContactState"]
        assert not stage.contact(NUMBER, OTHER_LIST).active
        assert stage.apply(receipt("m1", SPAM, 5, from_=None, received_at=9_000)) == []

    @pytest.mark.parametrize("report", [SPAM, UNKNOWN_NUMBER, UNSUBSCRIBED])
    def test_is_removed_from_every_list_at_once_where_the_report_names_none(self, report: Report) -> None:
        stage = Stage(*TWO_LISTS)
        events = stage.apply(receipt("m1", report, 5, from_=None))
        told = "UnsubscribeEvent" if report is UNSUBSCRIBED else "RemovedEvent"
        assert names(events) == [told, "ContactState"] * 2 + ["ContactState"]
        assert [stage.state(NUMBER, each).active for each in (LIST, OTHER_LIST, "+18005550000")] == [False] * 3
        assert names(stage.tick(WAIT)) == ["DeliveryEvent"]
        repeated = stage.apply(receipt("m1", report, 5, from_=None, received_at=9_000))
        assert repeated == []


class TestOtherAccounts:
    @pytest.mark.parametrize(
        ("reference", "message_id"),
        [
            (None, "m1"),
            ("order-77", "order-77"),
            ("a" * 128, "a" * 128),
            ("a" * 129, "m1"),
            ("https://acme.example/1_2", "https://acme.example/1_2"),
            ("", "m1"),
            ("order 77", "m1"),
            ('{"order":77}', "m1"),
            ("bestellung-ä", "m1"),
            ("order-77\n", "m1"),
        ],
    )
    def test_a_report_goes_out_at_once_under_the_reference_or_the_providers_id(
        self, reference: str | None, message_id: str
    ) -> None:
        stage = Stage(NOT_REGISTERING, ONE_LIST)
        events = stage.apply(receipt("m1", DELIVERED, 5, sender_reference=reference))
        assert told(events) == [(message_id, "DELIVERED_TO_HANDSET")]

    def test_an_account_without_settings_does_not_wait_either(self) -> None:
        assert told(Stage().apply(receipt("m1", DELIVERED, 5))) == [("m1", "DELIVERED_TO_HANDSET")]

    def test_the_registered_id_comes_before_the_reference(self) -> None:
        stage = Stage(NOT_REGISTERING, ONE_LIST)
        stage.apply(message_sent("m1", "order-77"))
        events = stage.apply(receipt("m1", DELIVERED, 5, sender_reference="campaign-3"))
        assert told(events) == [("order-77", "DELIVERED_TO_HANDSET")]


class TestRegistration:
    def test_that_is_repeated_changes_nothing(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        stage.apply(message_sent("m1"))
        assert stage.apply(message_sent("m1")) == []

    def test_that_corrects_counts_for_what_comes_after_it(self) -> None:
        stage = Stage(*TWO_LISTS)
        stage.apply(message_sent("m1", "order-77"), receipt("m1", ACCEPTED, 1))
        assert stage.apply(message_sent("m1", "order-78", OTHER_LIST)) == []
        (event,) = stage.apply(receipt("m1", DELIVERED, 5))
        assert isinstance(event, DeliveryEvent)
        assert (event.message_id, event.list_number) == ("order-78", OTHER_LIST)

    def test_that_corrects_the_list_counts_the_message_for_the_other(self) -> None:
        stage = Stage(*TWO_LISTS)
        stage.apply(message_sent("m1", "order-77", LIST), receipt("m1", ABSENT, 1))
        events = stage.apply(message_sent("m1", "order-77", OTHER_LIST))
        assert {e.list_number: e.failures for e in events if isinstance(e, ContactState)} == {LIST: 0, OTHER_LIST: 1}
        assert stage.apply(receipt("m1", ABSENT, 1, received_at=9_000)) == []

    @pytest.mark.parametrize("table", ["contacts", "messages"])
    def test_that_is_read_again_after_a_crash_moves_the_message_once(self, table: str) -> None:
        stage = Stage(*TWO_LISTS)
        stage.apply(message_sent("m1", "order-77", LIST), receipt("m1", ABSENT, 1))
        correction = message_sent("m1", "order-77", OTHER_LIST)
        stage.crash_on(correction, refusing=table)
        stage.apply(correction)
        assert [stage.contact(NUMBER, number).failures for number in (LIST, OTHER_LIST)] == [0, 1]

    def test_that_comes_after_the_release_names_the_message_from_then_on(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        stage.apply(receipt("m1", ACCEPTED, 1))
        stage.tick(WAIT)
        assert names(stage.apply(message_sent("m1", "order-77"))) == ["SentEvent"]
        assert told(stage.apply(receipt("m1", DELIVERED, 5))) == [("order-77", "DELIVERED_TO_HANDSET")]

    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            (message_sent("m1", to="15550001111"), "invalid_number"),
            (message_sent("m1", to="+1 555 000 1111"), "invalid_number"),
            (message_sent("m1", to="Acme"), "invalid_number"),
        ],
    )
    def test_that_cannot_meet_its_reports_is_rejected(self, message: MessageSent, reason: str) -> None:
        (rejected,) = Stage(REGISTERING, ONE_LIST).apply(message)
        assert isinstance(rejected, RejectedRecord)
        assert rejected.reason == reason
        assert message.to not in rejected.error

    def test_under_a_key_that_is_not_its_recipients_is_rejected(self) -> None:
        (rejected,) = Stage(REGISTERING, ONE_LIST).apply_under(b"acme:+15550009999", message_sent("m1"))
        assert isinstance(rejected, RejectedRecord)
        assert rejected.reason == "wrong_key"

    def test_in_a_partition_that_another_partitioner_chose_is_sent_to_that_of_its_reports(self) -> None:
        message = message_sent("m1")
        assert partition_of(recipient_key(ACCOUNT, NUMBER), ThreePartitions.partitions) != 0
        assert ThreePartitions(REGISTERING, ONE_LIST).apply(message) == [message]

    def test_in_the_partition_of_its_reports_stays_there(self) -> None:
        number = "+15550001113"
        assert partition_of(recipient_key(ACCOUNT, number), ThreePartitions.partitions) == 0
        sent = ThreePartitions(REGISTERING, ONE_LIST).apply(message_sent("m1", to=number))
        assert names(sent) == ["SentEvent"]

    def test_under_its_canonical_key_goes_to_that_of_its_reports_too(self) -> None:
        message = message_sent("m1", to="+5215512345678")
        key = recipient_key(ACCOUNT, message.to)
        assert key == b"acme:+525512345678"
        assert partition_of(key, ThreePartitions.partitions) != 0
        assert ThreePartitions(REGISTERING, ONE_LIST).apply_under(key, message) == [message]


class TestClickOfASender:
    """Senders may write their clicks to the topic themselves."""

    def test_in_a_partition_that_another_partitioner_chose_is_sent_to_that_of_its_contact(self) -> None:
        assert partition_of(recipient_key(ACCOUNT, NUMBER), ThreePartitions.partitions) != 0
        assert ThreePartitions(REGISTERING, ONE_LIST).apply(click("m1")) == [click("m1")]

    @pytest.mark.parametrize("key", [b"acme:+15550009999", b"m1", None])
    def test_under_another_key_is_sent_to_its_contact(self, key: bytes | None) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        assert stage.apply_under(key, click("m1")) == [click("m1")]
        assert stage.kafka.sent[-1].key == recipient_key(ACCOUNT, NUMBER)

    def test_of_a_number_in_another_spelling_is_taken_where_its_contact_is(self) -> None:
        sent = click("m1", to="+5215512345678")
        key = recipient_key(ACCOUNT, sent.to)
        assert names(Stage(REGISTERING, ONE_LIST).apply_under(key, sent)) == ["ClickEvent"]


class ThreePartitions(Stage):
    """A stage of which only the first partition gets records."""

    partitions = 3


class TestSentEvent:
    """One a message, whatever repeats and whatever comes first."""

    SENT = Report("pending", "SENT", "neutral", False)

    def sent(self, events: list[Record]) -> list[tuple[str, int | None]]:
        return [(event.message_id, event.part_count) for event in events if isinstance(event, SentEvent)]

    def test_comes_with_the_registration_and_its_parts(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        report = receipt("m1", self.SENT, 5, provider="twilio", parts=9)
        events = stage.apply(report, message_sent("m1", provider="twilio", part_count=2), report)
        assert self.sent(events) == [("order-77", 2)]

    @pytest.mark.parametrize(
        ("provider", "detail", "is_sent"),
        [
            ("twilio", "SENT", True),
            ("twilio", "SENDING", True),
            ("twilio", "QUEUED", False),
            ("twilio", "ACCEPTED", False),
            ("cm", "ACCEPTED", True),
            ("infobip", "PENDING_ENROUTE", True),
            ("infobip", "PENDING_ACCEPTED", False),
        ],
    )
    def test_comes_with_a_report_that_it_was_sent_where_nothing_is_registered(
        self, provider: str, detail: str, is_sent: bool
    ) -> None:
        stage = Stage(NOT_REGISTERING, ONE_LIST)
        report = receipt("m1", Report("pending", detail, "neutral", False), 5, provider=provider, parts=3)
        assert self.sent(stage.apply(report)) == ([("m1", 3)] if is_sent else [])

    def test_comes_once_in_every_order_of_reports(self) -> None:
        stage = Stage(NOT_REGISTERING, ONE_LIST)
        reports = [
            receipt("m1", DELIVERED, 9, provider="twilio"),
            receipt("m1", self.SENT, 5, provider="twilio"),
            receipt("m1", Report("pending", "SENDING", "neutral", False), 4, provider="twilio"),
            receipt("m1", self.SENT, 5, provider="twilio", received_at=9_000),
        ]
        assert names(stage.apply(*reports)) == ["DeliveryEvent", "SentEvent"]

    def test_is_not_sent_later_than_its_registration_came(self) -> None:
        stage = Stage(REGISTERING, ONE_LIST)
        (event,) = stage.apply(message_sent("m1", sent_at=START_OF_DAY * 1_000))
        assert isinstance(event, SentEvent)
        assert event.timestamp == START_OF_DAY

    def test_and_what_else_is_told_of_a_message_is_no_later_than_its_registration(self) -> None:
        stage, links = Stage(REGISTERING, ONE_LIST), (Link("c-1", "https://acme.example/sale"),)
        message = message_sent("m1", sent_at=START_OF_DAY * 1_000, links=links, callback_url="https://acme.example/sms")
        _, link, callback = stage.apply(message)
        assert isinstance(link, TrackedLink)
        assert isinstance(callback, MessageCallback)
        assert link.registered_at == callback.timestamp == START_OF_DAY

    def test_is_not_repeated_by_a_registration_that_comes_later(self) -> None:
        stage = Stage(NOT_REGISTERING, ONE_LIST)
        events = stage.apply(receipt("m1", self.SENT, 5, provider="twilio"), message_sent("m1", provider="twilio"))
        assert self.sent(events) == [("m1", None)]

    def test_is_not_repeated_by_a_registration_after_the_release(self) -> None:
        stage = Stage(*TWO_LISTS)
        report = receipt("m1", self.SENT, 5, provider="twilio", from_=None)
        stage.apply(report)
        assert self.sent(stage.tick(WAIT)) == [("m1", None)]
        assert self.sent(stage.apply(message_sent("m1", provider="twilio"))) == []

    def test_is_not_repeated_by_a_registration_after_a_report_that_followed_the_release(self) -> None:
        stage = Stage(*TWO_LISTS)
        stage.apply(receipt("m1", ACCEPTED, 1, provider="twilio", from_=LIST))
        stage.tick(WAIT)
        assert self.sent(stage.apply(receipt("m1", self.SENT, 5, provider="twilio", from_=LIST))) == [("m1", None)]
        assert self.sent(stage.apply(message_sent("m1", list_number=OTHER_LIST, provider="twilio"))) == []

    def test_has_one_id_whatever_brings_it(self) -> None:
        by_report = Stage(NOT_REGISTERING, ONE_LIST).apply(receipt("m1", self.SENT, 5, provider="twilio"))
        by_registration = Stage(NOT_REGISTERING, ONE_LIST).apply(message_sent("m1", provider="twilio"))
        ids = [event.event_id for event in (*by_report, *by_registration) if isinstance(event, SentEvent)]
        assert len(ids) == 2
        assert len(set(ids)) == 1


def test_a_report_of_another_account_finds_no_message() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(message_sent("m1", "order-77"))
    events = stage.apply(replace(receipt("m1", DELIVERED, 5), account="other"))
    assert told(events) == [("m1", "DELIVERED_TO_HANDSET")]
