"""An opt-out, a complaint, or a dead number without a certain list removes from every list."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from schemas.records import (
    AccountConfig,
    ContactState,
    DeliveryEvent,
    InboundMessage,
    ListConfig,
    Receipt,
    Record,
    RemovedEvent,
    RestoredEvent,
    UnsubscribeEvent,
)
from tests.unit.streams.contact_records import (
    ABSENT,
    DELIVERED,
    LIST,
    NUMBER,
    SPAM,
    START_OF_DAY,
    UNKNOWN_NUMBER,
    UNSUBSCRIBED,
    Report,
    command,
    inbound,
    message_sent,
    names,
    receipt,
)
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, REGISTERING, Stage

OTHER = "+18005559999"
LATER = "+18005550000"
"""A list that is made after what happens."""

POOL = "+18885550199"
AGENT = "acme_agent"
TWO = ONE_LIST, ListConfig(account="acme", number=OTHER)
ANSWER = replace(inbound("STOP", 5, to=LIST, provider="infobip"), in_reply_to="m1")
"""An opt-out sent to one list that answers a message of perhaps another."""

UNCERTAIN = [AGENT, "AcmeShop", POOL, "72345", None, ""]

REVOKE_ALL = START_OF_DAY + 3_600_000


def stage_of(*lists: ListConfig, account: AccountConfig = NOT_REGISTERING) -> Stage:
    return Stage(account, *lists)


def out(stage: Stage) -> list[str]:
    """The lists from which the contact must not be texted."""
    return [each for each in (LIST, OTHER, LATER) if not stage.state(NUMBER, each).active]


ALL = [LIST, OTHER, LATER]


class TestOptOut:
    @pytest.mark.parametrize("text", ["STOP Acme", "stop ACME!"])
    def test_to_the_account_by_its_name_removes(self, text: str) -> None:
        stage = stage_of(*TWO, account=replace(NOT_REGISTERING, name="Acme"))
        stage.apply(inbound(text, 5))
        assert out(stage) == [LIST]

    @pytest.mark.parametrize("to", UNCERTAIN)
    def test_to_a_receiver_of_no_list_removes_from_every_list(self, to: str | None) -> None:
        stage = stage_of(*TWO)
        events = stage.apply(inbound("STOP", 5, to=to))
        assert out(stage) == ALL
        told = [event for event in events if isinstance(event, UnsubscribeEvent)]
        assert [(e.list_number, e.keyword, e.reason, e.timestamp) for e in told] == [
            (listed, "STOP", "message", START_OF_DAY + 5) for listed in (LIST, OTHER)
        ]
        assert len({event.event_id for event in told}) == 2

    def test_is_published_for_each_list_and_for_the_account(self) -> None:
        stage = stage_of(*TWO)
        events = stage.apply(inbound("STOP", 5, to=AGENT))
        states = [event for event in events if isinstance(event, ContactState)]
        assert [(e.list_number, e.active, e.reason, e.scope) for e in states] == [
            (listed, False, "message", "account") for listed in (LIST, OTHER, "")
        ]
        assert len({event.contact for event in states}) == 3
        told = {e.list_number: e.event_id for e in events if isinstance(e, UnsubscribeEvent)}
        assert {e.list_number: e.last_event_id for e in states if e.list_number} == told

    @pytest.mark.parametrize("to", [POOL, AGENT])
    def test_in_an_account_with_one_list_removes_from_it_and_those_to_come(self, to: str) -> None:
        stage = stage_of(ONE_LIST)
        events = stage.apply(inbound("STOP", to=to))
        assert [e.list_number for e in events if isinstance(e, UnsubscribeEvent)] == [LIST]
        assert out(stage) == ALL

    def test_in_an_account_without_lists_gives_one_event(self) -> None:
        stage = stage_of()
        events = stage.apply(inbound("STOP", to=POOL))
        assert [e.list_number for e in events if isinstance(e, UnsubscribeEvent)] == [None]
        assert out(stage) == ALL

    @pytest.mark.parametrize("to", [LIST, POOL, AGENT, f"rcs:{AGENT}", "ACME_AGENT"])
    def test_to_what_a_list_sends_from_removes_from_that_list_alone(self, to: str) -> None:
        stage = stage_of(replace(ONE_LIST, numbers=(POOL,), senders=(AGENT,)), TWO[1])
        stage.apply(inbound("STOP", to=to))
        assert out(stage) == [LIST]

    @pytest.mark.parametrize("reply", [
        inbound("STOP", to=LIST, provider="infobip"),
        inbound("STOP", to=None, list_number=LIST, provider="infobip"),
    ])  # fmt: skip
    def test_to_one_list_about_a_message_of_another_removes_from_every_list(self, reply: InboundMessage) -> None:
        stage = stage_of(*TWO)
        stage.apply(message_sent("m1", list_number=OTHER), replace(reply, in_reply_to="m1"))
        assert out(stage) == ALL

    @pytest.mark.parametrize("account", [NOT_REGISTERING, REGISTERING])
    @pytest.mark.parametrize("others", [(), (receipt("m1", DELIVERED, 1),)])
    def test_removes_from_every_list_too_if_that_message_is_registered_only_later(
        self, account: AccountConfig, others: tuple[Receipt, ...]
    ) -> None:
        stage = stage_of(*TWO, account=account)
        stage.apply(*others, ANSWER)
        assert out(stage) == [LIST]
        stage.restart()
        told = names(stage.apply(message_sent("m1", list_number=OTHER)))
        assert out(stage) == ALL
        assert told.count("UnsubscribeEvent") == 1

    def test_removes_from_its_list_alone_if_the_message_turns_out_to_be_of_that_list(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(ANSWER, message_sent("m1", list_number=LIST))
        assert out(stage) == [LIST]

    @pytest.mark.parametrize("back", [inbound("START", 9, id="SM9", to=LIST), command("restore", 9)])
    @pytest.mark.parametrize("is_registered_first", [True, False])
    def test_spares_only_the_list_to_which_consent_has_come_since(
        self, back: Record, is_registered_first: bool
    ) -> None:
        stage = stage_of(*TWO)
        message = message_sent("m1", list_number=OTHER)
        stage.apply(*([message, ANSWER, back] if is_registered_first else [ANSWER, back, message]))
        assert stage.may_be_texted(NUMBER, LIST)
        assert not stage.may_be_texted(NUMBER, OTHER)

    def test_spares_the_message_s_list_if_consent_to_it_has_come_since(self) -> None:
        stage = stage_of(*TWO)
        back = inbound("START", 9, id="SM9", to=OTHER)
        stage.apply(replace(ANSWER, to=POOL), back, message_sent("m1", list_number=OTHER))
        assert stage.may_be_texted(NUMBER, OTHER)

    def test_does_not_keep_reports_from_waiting_for_the_message(self) -> None:
        stage = stage_of(*TWO, account=REGISTERING)
        stage.apply(ANSWER)
        assert names(stage.apply(receipt("m1", DELIVERED, 6))) == []
        assert "DeliveryEvent" in names(stage.apply(message_sent("m1", list_number=OTHER)))

    @pytest.mark.parametrize("refusing", ["contacts", "messages"])
    def test_is_applied_again_after_a_crash(self, refusing: str) -> None:
        stage = stage_of(*TWO)
        stage.apply(ANSWER)
        stage.crash_on(message_sent("m1", list_number=OTHER), refusing)
        stage.apply(message_sent("m1", list_number=OTHER))
        assert out(stage) == ALL

    def test_about_a_message_of_a_list_to_a_receiver_of_none_removes_from_that_list(self) -> None:
        stage = stage_of(*TWO)
        reply = inbound("STOP", to=POOL, provider="infobip")
        stage.apply(message_sent("m1", list_number=OTHER), replace(reply, in_reply_to="m1"))
        assert out(stage) == [OTHER]

    def test_of_all_lists_by_the_provider_holds_for_those_to_come(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP ALL", kind="opt_out", scope="all"))
        assert out(stage) == ALL

    def test_that_is_read_again_changes_nothing(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", to=AGENT))
        assert stage.apply(inbound("STOP", to=AGENT)) == []

    @pytest.mark.parametrize("refusing", ["contacts", "messages"])
    def test_outlives_a_crash(self, refusing: str) -> None:
        stage = stage_of(*TWO)
        stage.crash_on(inbound("STOP", to=AGENT), refusing)
        stage.apply(inbound("STOP", to=AGENT))
        assert out(stage) == ALL
        stage.lose_disk()
        stage.apply(receipt("m1", DELIVERED, 9))
        assert out(stage) == ALL

    def test_leaves_no_phantom_list(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", to=POOL), receipt("m1", ABSENT, 1, from_=POOL), receipt("m2", SPAM, 2, from_=POOL))
        assert stage.holds(f"acme:{POOL}:") == []

    def test_of_a_contact_that_is_out_on_a_list_tells_the_others_alone(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", 1, id="SM1"))
        events = stage.apply(inbound("STOP", 5, id="SM2", to=AGENT))
        assert [e.list_number for e in events if isinstance(e, UnsubscribeEvent)] == [OTHER]


class TestReport:
    @pytest.mark.parametrize("report", [SPAM, UNKNOWN_NUMBER, UNSUBSCRIBED])
    @pytest.mark.parametrize("sender", UNCERTAIN)
    def test_that_removes_without_a_list_removes_from_every_list(self, report: Report, sender: str | None) -> None:
        stage = stage_of(*TWO)
        stage.apply(receipt("m1", report, 5, from_=sender))
        assert out(stage) == ALL

    def test_of_a_message_whose_row_has_expired_removes_from_every_list(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(receipt("m1", UNSUBSCRIBED, 5, from_=POOL))
        assert out(stage) == ALL

    def test_of_a_registered_message_removes_from_its_list(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(message_sent("m1", list_number=OTHER), receipt("m1", SPAM, 5, from_=POOL))
        assert out(stage) == [OTHER]

    def test_of_a_message_that_was_registered_for_no_list_removes_from_every_list(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(message_sent("m1", list_number=POOL), receipt("m1", SPAM, 5, from_=LIST))
        assert out(stage) == ALL

    def test_names_the_sender_in_the_event_of_the_message(self) -> None:
        [event] = stage_of(*TWO).apply(receipt("m1", DELIVERED, 5, from_=POOL))
        assert isinstance(event, DeliveryEvent)
        assert event.list_number == POOL

    def test_that_only_failed_is_counted_for_the_accounts_only_list(self) -> None:
        stage = stage_of(ONE_LIST)
        stage.apply(*(receipt(f"m{n}", ABSENT, n, from_=POOL) for n in (1, 2)))
        assert stage.contact(NUMBER).failures == 2
        stage.apply(receipt("m3", ABSENT, 3, from_=AGENT))
        assert out(stage) == [LIST]

    def test_that_only_failed_is_counted_for_nobody_where_there_are_several(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(*(receipt(f"m{n}", ABSENT, n, from_=POOL) for n in range(9)))
        assert out(stage) == []

    def test_without_a_recipient_touches_nobody(self) -> None:
        stage = stage_of(*TWO)
        assert names(stage.apply(receipt("m1", SPAM, 5, to=None))) == ["DeliveryEvent"]


class TestComingBack:
    def test_to_a_list_brings_back_that_list_and_no_other(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", 1, id="SM1", to=AGENT), inbound("START", 5, id="SM2"))
        assert out(stage) == [OTHER, LATER]

    def test_to_the_receiver_of_the_opt_out_brings_back_every_list(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", 1, id="SM1", to=AGENT), inbound("START", 5, id="SM2", to=f"rcs:{AGENT}"))
        assert out(stage) == []
        assert stage.apply(inbound("STOP", 1, id="SM1", to=AGENT)) == []

    def test_to_another_receiver_of_no_list_brings_back_nothing(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", 1, id="SM1", to=AGENT), inbound("START", 5, id="SM2", to=POOL))
        assert out(stage) == ALL

    @pytest.mark.parametrize(("provider", "back"), [("lime", True), ("eztexting", False)])
    def test_without_a_receiver_undoes_an_opt_out_without_one_at_the_same_provider(
        self, provider: str, back: bool
    ) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", 1, id="a", to=None, provider="lime"))
        stage.apply(inbound("START", 5, id="b", to=None, provider=provider))
        assert out(stage) == ([] if back else ALL)

    @pytest.mark.parametrize("to", [LIST, AGENT])
    def test_at_the_time_of_the_opt_out_brings_back_nothing(self, to: str) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", 5, id="SM1", to=AGENT), inbound("START", 5, id="SM2", to=to))
        assert out(stage) == ALL

    def test_to_one_of_two_receivers_brings_back_nothing(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", 1, id="SM1", to=AGENT), inbound("STOP", 2, id="SM2", to=POOL))
        stage.apply(inbound("START", 5, id="SM3", to=POOL))
        assert out(stage) == ALL
        stage.apply(inbound("START", 6, id="SM4", to=AGENT))
        assert out(stage) == []

    def test_does_not_undo_what_the_person_stopped_on_a_list(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", 1, id="SM1"), inbound("STOP", 2, id="SM2", to=AGENT))
        stage.apply(inbound("START", 5, id="SM3", to=AGENT))
        assert out(stage) == [LIST]

    def test_does_not_undo_an_opt_out_of_all_lists_but_where_it_is_sent_to(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP ALL", 1, id="SM1", kind="opt_out", scope="all", to=AGENT))
        stage.apply(inbound("START", 5, id="SM2", to=AGENT))
        assert out(stage) == ALL

    @pytest.mark.parametrize("report", [SPAM, UNKNOWN_NUMBER])
    def test_does_not_undo_a_complaint_or_a_dead_number(self, report: Report) -> None:
        stage = stage_of(*TWO)
        stage.apply(receipt("m1", report, 1, from_=None), inbound("START", 5_000))
        assert out(stage) == ALL

    @pytest.mark.parametrize("report", [SPAM, UNKNOWN_NUMBER])
    def test_is_undone_by_an_older_complaint_or_dead_number_that_comes_late(self, report: Report) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", 3, id="SM1", to=AGENT), inbound("START", 5_000, id="SM2"))
        stage.apply(receipt("m1", report, 2, from_=None))
        assert out(stage) == ALL

    def test_is_undone_by_a_complaint_with_the_id_of_an_opt_out_before_it(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", 1, id="SM1"), inbound("START", 5, id="SM2"))
        stage.apply(inbound("this is spam", 2, id="SM1"))
        assert LIST in out(stage)

    def test_that_is_older_than_the_opt_out_brings_back_nothing(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", 5, id="SM1", to=AGENT), inbound("START", 4, id="SM2"))
        assert out(stage) == ALL

    def test_ends_with_the_next_opt_out(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", 1, id="SM1", to=AGENT), inbound("START", 5, id="SM2"))
        stage.apply(inbound("STOP", 6, id="SM3", to=POOL))
        assert out(stage) == ALL

    @pytest.mark.parametrize("report", [SPAM, UNSUBSCRIBED])
    def test_by_an_order_for_a_list_is_for_that_list_whatever_the_reason(self, report: Report) -> None:
        stage = stage_of(*TWO)
        stage.apply(receipt("m1", report, 1, from_=None), command("restore", 5_000))
        assert out(stage) == [OTHER, LATER]

    def test_by_an_order_for_every_list_is_for_all_but_those_with_a_removal_of_their_own(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(receipt("m1", SPAM, 1, from_=None), inbound("STOP", 2))
        stage.apply(command("restore", 5_000, list_number=""))
        assert out(stage) == [LIST]

    @pytest.mark.parametrize("back", [inbound("START", 9, id="SM9"), command("restore", 9)])
    def test_that_is_read_again_does_not_undo_what_was_learnt_after_it(self, back: Record) -> None:
        stage = stage_of(*TWO)
        stage.apply(back, inbound("STOP", 5, id="SM1", to=AGENT))
        assert stage.apply(back) == []
        assert out(stage) == ALL

    def test_by_an_order_that_is_older_than_the_removal_changes_nothing(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(receipt("m1", SPAM, 5_000, from_=None))
        stage.apply(command("restore", 4_000), command("restore", 4_000, list_number=""))
        assert out(stage) == ALL


class TestOrder:
    def test_to_remove_from_every_list_holds_for_those_to_come(self) -> None:
        stage = stage_of(*TWO)
        events = stage.apply(command("remove", 5, list_number=""))
        assert out(stage) == ALL
        assert [(e.list_number, e.reason) for e in events if isinstance(e, RemovedEvent)] == [
            (LIST, "manual"), (OTHER, "manual"),
        ]  # fmt: skip


class TestErasedNumber:
    def test_stays_out_for_the_whole_account(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", to=AGENT))
        stage.apply(*(command("erase", 9, list_number=each) for each in (LIST, OTHER, "")))
        assert stage.holds(NUMBER) == []
        stage.apply(inbound("hello", 20, id="SM9"))
        events = stage.apply(command("remove", 30, list_number=LATER))
        assert [type(event) for event in events if isinstance(event, UnsubscribeEvent)] == []


class TestEvents:
    def test_a_report_that_removes_from_every_list_tells_each_of_the_message(self) -> None:
        events = stage_of(*TWO).apply(receipt("m1", SPAM, 5, from_=None))
        told = [event for event in events if isinstance(event, RemovedEvent)]
        assert [(e.list_number, e.reason, e.message_id) for e in told] == [
            (LIST, "complaint", "m1"), (OTHER, "complaint", "m1"),
        ]  # fmt: skip

    def test_coming_back_is_told_for_each_list_that_it_brings_back(self) -> None:
        stage = stage_of(*TWO)
        stage.apply(inbound("STOP", 1, id="SM1", to=AGENT))
        events = stage.apply(inbound("START", 5, id="SM2", to=AGENT))
        assert [(e.list_number, e.reason) for e in events if isinstance(e, RestoredEvent)] == [
            (LIST, "message"), (OTHER, "message"),
        ]  # fmt: skip
        events = stage.apply(inbound("STOP", 6, id="SM3", to=AGENT), command("restore", 9_000))
        assert [(e.list_number, e.reason) for e in events if isinstance(e, RestoredEvent)] == [(LIST, "manual")]

    def test_who_was_removed_and_then_opts_out_is_told_to_have_opted_out_once(self) -> None:
        stage = stage_of(ONE_LIST)
        stage.apply(receipt("m1", UNKNOWN_NUMBER, 1))
        events = stage.apply(inbound("STOP", 5, id="SM1"), inbound("STOP", 6, id="SM2"))
        assert [(e.keyword, e.reason) for e in events if isinstance(e, UnsubscribeEvent)] == [("STOP", "message")]


class TestOptOutScope:
    @pytest.mark.parametrize(("begins", "is_in_force"), [(None, True), (REVOKE_ALL, True), (REVOKE_ALL + 1, False)])
    def test_of_the_account_makes_an_opt_out_from_a_list_one_from_every_list(
        self, begins: int | None, is_in_force: bool
    ) -> None:
        account = replace(NOT_REGISTERING, opt_out_scope="account", opt_out_scope_from=begins)
        stage = stage_of(*TWO, account=account)
        stage.apply(inbound("STOP", REVOKE_ALL - START_OF_DAY))
        assert out(stage) == (ALL if is_in_force else [LIST])

    @pytest.mark.parametrize(
        ("record", "expected"),
        [
            (inbound("this is spam"), ALL),
            (receipt("m1", UNSUBSCRIBED, 1), ALL),
            (receipt("m1", SPAM, 1), ALL),
            (receipt("m1", UNKNOWN_NUMBER, 1), [LIST]),
            (command("remove"), [LIST]),
        ],
    )
    def test_of_the_account_applies_to_what_people_ask_for(self, record: Record, expected: list[str]) -> None:
        stage = stage_of(*TWO, account=replace(NOT_REGISTERING, opt_out_scope="account"))
        stage.apply(record)
        assert out(stage) == expected

    def test_of_the_account_lets_start_bring_back_the_list_that_it_is_sent_to(self) -> None:
        stage = stage_of(*TWO, account=replace(NOT_REGISTERING, opt_out_scope="account"))
        stage.apply(inbound("STOP", 1, id="SM1"), inbound("START", 5, id="SM2"))
        assert out(stage) == [OTHER, LATER]

    def test_counts_failures_by_list_all_the_same(self) -> None:
        stage = stage_of(*TWO, account=replace(NOT_REGISTERING, opt_out_scope="account"))
        reports: list[Receipt] = [receipt(f"m{n}", ABSENT, n) for n in (1, 2, 3)]
        stage.apply(*reports)
        assert out(stage) == [LIST]


def test_settings_that_name_a_receiver_later_leave_what_it_stopped() -> None:
    stage = stage_of(*TWO)
    stage.apply(inbound("STOP", 1, id="SM1", to=AGENT))
    stage.configure(replace(ONE_LIST, senders=(AGENT,)))
    assert out(stage) == ALL
    stage.apply(inbound("START", 5, id="SM2", to=AGENT))
    assert out(stage) == [OTHER, LATER]
