"""Contacts whose opt-outs retention may have deleted unread: not texted until an operator has made up for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bus.admin import TopicLog
from bus.clock import Moment
from bus.producer import partition_of
from console.contacts.answers import TRANSACTIONAL
from console.principals import Role
from operations.losses import settlement_key
from schemas.ids import recipient_key
from schemas.records import OF_ANYONE, OF_PARTITION, LossSettled, RecordsLost
from tests.unit.console.console_parts import CODEC, LIST, NUMBER, OTHER_LIST, Api

PARTITIONS = 4
MINE = partition_of(recipient_key("acme", NUMBER), PARTITIONS)
ELSEWHERE = (MINE + 1) % PARTITIONS
USER = "US.13491208655302"


def at(second: int) -> Moment:
    return Moment(float(second), second * 1000)


class House(Api):
    """A console whose copy of losses a test writes."""

    seconds = 0

    def loses(self, opt_outs: str = OF_ANYONE, partition: int = MINE, loss: str = "evt_1") -> None:
        """Streams records a loss."""
        record = RecordsLost(
            event_id=loss,
            reader="trackly-streams",
            topic="sms.raw" if opt_outs == OF_ANYONE else "sms.inbound",
            partition=partition,
            partitions=PARTITIONS,
            first=0,
            count=3,
            uncertain=False,
            opt_outs=opt_outs,
            noticed_at=1,
        )
        self._write(loss, record)

    def settles(self, account: str = "*", loss: str = "evt_1") -> None:
        """An operator settles a loss."""
        record = LossSettled(loss=loss, account=account, settled_by="command:ann", settled_at=2)
        self._write(settlement_key(loss, account), record)

    def look(
        self,
        *,
        begins: int = 0,
        committed: int | None = 0,
        read: bool = True,
        as_of: int | None = None,
    ) -> None:
        """Look at the pipeline: where the callbacks begin and streams is; whether the losses are read to their end."""
        self.seconds += 1
        raw, losses = self.settings.catalogue["raw"].name, self.lost.topic
        places: Mapping[Any, int] = {} if committed is None else {(raw, 0): committed}
        end = self.lost._replica.positions.get(0, 0) + (0 if read else 1)
        logs = {raw: TopicLog("a", {0: begins}, {0: begins}), losses: TopicLog("b", {0: 0}, {0: end})}
        self.lost.look(at(self.seconds), places, logs, at(self.seconds if as_of is None else as_of))

    def _write(self, key: str, record: RecordsLost | LossSettled) -> None:
        self.losses.write({key.encode(): CODEC.encode(record)}, None)
        positions = self.lost._replica.positions
        positions[0] = positions.get(0, 0) + 1

    async def asks(self, number: str = NUMBER, **options: Any) -> Any:
        """Return the answer about one number, or the message of a refusal."""
        body = {"list_number": LIST, "numbers": [number]}
        answer = await self.post("/api/contacts/check", json=body, **options)
        assert answer.status_code in (200, 503)
        return answer.json()["contacts"][0] if answer.status_code == 200 else answer.json()["message"]


@pytest.fixture
def api() -> House:
    return House()


async def test_without_a_loss_nothing_changes(api: House) -> None:
    api.look()
    assert (await api.asks())["may_be_texted"]


async def test_after_lost_callbacks_nobody_may_be_texted_and_the_answer_says_what_to_do(api: House) -> None:
    api.loses()
    api.look()
    answer = await api.post("/api/contacts/check", json={"list_number": LIST, "numbers": [NUMBER]})
    assert (answer.status_code, answer.json()["code"]) == (503, "not_available")
    assert "3 records of sms.raw" in answer.json()["message"]
    assert "trackly losses settle" in answer.json()["message"]


async def test_after_lost_callbacks_a_single_contact_is_refused_too(api: House) -> None:
    api.loses()
    api.look()
    assert (await api.get(f"/api/contacts/{LIST}/{NUMBER}")).status_code == 503


async def test_the_page_of_a_contact_says_that_its_opt_out_may_be_lost(api: House) -> None:
    api.loses()
    api.look()
    now = (await api.get(f"/api/contacts/{NUMBER}")).json()["now"]
    assert (now["may_be_texted"], now["reason"]) == (False, "lost_records")


async def test_once_an_operator_has_settled_the_loss_contacts_may_be_texted_again(api: House) -> None:
    api.loses()
    api.settles()
    api.look()
    assert (await api.asks())["may_be_texted"]


async def test_a_settlement_waits_until_the_imported_opt_outs_are_in_the_copy(api: House) -> None:
    api.loses()
    api.look()
    api.settles()
    api.look(as_of=1)
    api.look(as_of=1)
    assert "sms.raw" in await api.asks()
    api.look(as_of=2)
    assert (await api.asks())["may_be_texted"]


async def test_a_loss_that_is_settled_for_one_account_still_concerns_the_others(api: House) -> None:
    api.loses()
    api.settles("acme")
    api.look()
    assert (await api.asks())["may_be_texted"]
    body = {"list_number": OTHER_LIST, "numbers": [NUMBER]}
    assert (await api.post("/api/contacts/check", key=api.other, json=body)).status_code == 503


@pytest.mark.parametrize(("partition", "may"), [(MINE, False), (ELSEWHERE, True)])
async def test_lost_replies_hold_the_contacts_of_their_partition(api: House, partition: int, may: bool) -> None:
    api.loses(OF_PARTITION, partition)
    api.look()
    answer = await api.asks()
    assert (answer["may_be_texted"], answer["held"], answer["reason"]) == (
        may, not may, None if may else "lost_records",
    )  # fmt: skip


@pytest.mark.parametrize("purpose", ["marketing", TRANSACTIONAL])
async def test_the_purpose_of_a_message_does_not_matter(api: House, purpose: str) -> None:
    api.loses(OF_PARTITION)
    api.look()
    body = {"list_number": LIST, "numbers": [NUMBER], "purpose": purpose}
    (answer,) = (await api.post("/api/contacts/check", json=body)).json()["contacts"]
    assert answer["reason"] == "lost_records"


async def test_whoever_is_removed_stays_removed_for_its_own_reason(api: House) -> None:
    api.contact(False, reason="complaint")
    api.loses(OF_PARTITION)
    api.look()
    answer = await api.asks()
    assert (answer["reason"], answer["held"]) == ("complaint", False)


@pytest.mark.parametrize("known_as", [USER, "erased:1"])
async def test_a_contact_that_may_have_another_name_is_held_wherever_the_loss_was(api: House, known_as: str) -> None:
    api.contact(True, list_number="", number=known_as)
    api.loses(OF_PARTITION, ELSEWHERE)
    api.look()
    assert (await api.asks())["reason"] == "lost_records"


async def test_other_names_in_another_account_do_not_matter(api: House) -> None:
    api.contact(True, account="other", list_number="", number=USER)
    api.loses(OF_PARTITION, ELSEWHERE)
    api.look()
    assert (await api.asks())["may_be_texted"]


async def test_a_number_that_is_looked_up_in_the_slow_way_is_held_too(api: House) -> None:
    api.contact(True, list_number="", number=USER, known_as=NUMBER)
    api.loses(OF_PARTITION)
    api.look()
    assert (await api.asks(USER))["reason"] == "lost_records"


@pytest.mark.parametrize("committed", [4, None])
async def test_a_loss_counts_before_streams_has_recorded_it(api: House, committed: int | None) -> None:
    api.look(begins=5, committed=committed)
    message = await api.asks()
    assert "sms.raw" in message
    assert "start streams" in message


async def test_a_gap_that_has_closed_counts_until_all_losses_are_read(api: House) -> None:
    api.look(begins=5, committed=4)
    api.look(begins=5, committed=5, read=False)
    assert "sms.raw" in await api.asks()
    api.look(begins=5, committed=5)
    assert (await api.asks())["may_be_texted"]


async def test_what_was_read_before_retention_deleted_it_is_no_loss(api: House) -> None:
    api.look(begins=5, committed=5)
    assert (await api.asks())["may_be_texted"]


async def test_a_record_of_losses_that_cannot_be_read_makes_the_answer_unknown(api: House) -> None:
    api.losses.write({b"evt_1": b"\x00\xff\xff\xff\xffnothing"}, None)
    api.look()
    assert "cannot be read" in await api.asks()


@pytest.mark.parametrize(
    ("opt_outs", "partition", "symptom"),
    [(OF_ANYONE, MINE, "no contact may be texted"), (OF_PARTITION, ELSEWHERE, "some contacts must not be texted")],
)
async def test_the_overview_says_what_has_to_be_done(api: House, opt_outs: str, partition: int, symptom: str) -> None:
    api.loses(opt_outs, partition)
    api.look()
    api.sign_in(Role.VIEWER)
    text = (await api.page("")).text
    assert symptom in text
    assert "trackly losses" in text


async def test_an_overview_without_a_loss_does_not_mention_one(api: House) -> None:
    api.look()
    api.sign_in(Role.VIEWER)
    assert "trackly losses" not in (await api.page("")).text


async def test_a_contacts_page_says_that_its_opt_out_may_be_lost(api: House) -> None:
    api.loses(OF_PARTITION)
    api.look()
    api.sign_in(Role.SUPPORT)
    assert "an opt-out of this contact may be among them" in (await api.page(f"/contacts/{NUMBER}")).text


async def test_the_metric_counts_records_until_the_loss_is_settled(api: House) -> None:
    api.loses()
    api.look()
    assert api.lost.doubts.count == 3
    api.settles()
    api.look()
    assert api.lost.doubts.count == 0
