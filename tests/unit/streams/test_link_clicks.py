"""Links of registered messages, and clicks on them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from schemas.records import ClickEvent, Link, ListConfig, Record, TrackedLink
from streams.rules import MAX_CLICKS
from tests.unit.streams.contact_records import ACCOUNT, LIST, NUMBER, START_OF_DAY, click, message_sent, names
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, Stage

SALE, NEWS = Link("c-1", "https://acme.example/sale"), Link("c-2", "https://acme.example/news")
OTHER_LIST = "+18005559999"
MESSAGE = message_sent("m1", "order-77", OTHER_LIST, links=(SALE, NEWS))


def links(events: list[Record]) -> list[str]:
    return [event.click_id for event in events if isinstance(event, TrackedLink)]


def test_links_are_written_under_their_click_ids() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    link = next(event for event in stage.apply(MESSAGE) if isinstance(event, TrackedLink))
    assert link == TrackedLink(
        event_id=link.event_id,
        account=ACCOUNT,
        click_id="c-1",
        message_id="order-77",
        provider="infobip",
        provider_message_id="m1",
        phone_number=NUMBER,
        list_number=OTHER_LIST,
        url="https://acme.example/sale",
        registered_at=START_OF_DAY,
    )
    assert [record.key for record in stage.kafka.logs["sms.links", 0]] == [b"c-1", b"c-2"]


def test_a_correction_writes_the_links_that_are_new() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    assert links(stage.apply(replace(MESSAGE, links=(SALE,)))) == ["c-1"]
    assert links(stage.apply(MESSAGE)) == ["c-2"]


def test_a_click_on_a_registered_link_names_message_link_and_list() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(MESSAGE)
    (event,) = stage.apply(click("m1", NEWS.url, at=5))
    assert event == ClickEvent(
        event_id=event.event_id,  # type: ignore[union-attr]
        account=ACCOUNT,
        message_id="order-77",
        click_id="c-2",
        provider="infobip",
        phone_number=NUMBER,
        list_number=OTHER_LIST,
        url=NEWS.url,
        timestamp=START_OF_DAY + 5,
    )


@pytest.mark.parametrize(
    ("fields", "message_id", "click_id", "url"),
    [
        # A target that is not a registered link, and a click that names the link itself.
        ({"message": "m1", "url": "https://acme.example/other"}, "order-77", None, "https://acme.example/other"),
        ({"message": "m1", "url": None, "click_id": "c-1"}, "order-77", "c-1", SALE.url),
        # Messages that nobody registered.
        ({"message": "m2", "url": SALE.url}, "m2", None, SALE.url),
        ({"message": None, "url": SALE.url, "click_id": "c-9"}, None, "c-9", SALE.url),
    ],
)
def test_what_is_not_registered_is_told_as_far_as_it_is_known(
    fields: dict[str, str | None], message_id: str | None, click_id: str | None, url: str
) -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(MESSAGE)
    (event,) = stage.apply(click(**fields))  # type: ignore[arg-type]
    assert isinstance(event, ClickEvent)
    assert (event.message_id, event.click_id, event.url) == (message_id, click_id, url)


def test_the_list_of_an_unregistered_message_is_the_only_one_or_none() -> None:
    (event,) = Stage(NOT_REGISTERING, ONE_LIST).apply(click())
    assert isinstance(event, ClickEvent)
    assert event.list_number == LIST
    (event,) = Stage(NOT_REGISTERING, ONE_LIST, ListConfig(account=ACCOUNT, number=OTHER_LIST)).apply(click())
    assert isinstance(event, ClickEvent)
    assert event.list_number is None


def test_a_click_that_is_reported_again_is_one_click() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    again = replace(click(at=5), event_id="evt_other", received_at=START_OF_DAY + 9_000)
    assert names(stage.apply(click(at=5), again)) == ["ClickEvent"]


def test_a_second_click_is_another() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    assert names(stage.apply(click(at=5), click(at=6), click(url=NEWS.url, at=5))) == ["ClickEvent"] * 3


def test_a_click_without_a_time_is_known_by_its_callback() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    other = replace(click(at=None), event_id="evt_other")
    assert names(stage.apply(click(at=None), click(at=None), other)) == ["ClickEvent"] * 2


def test_a_row_remembers_the_last_clicks() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(*(click(at=at) for at in range(MAX_CLICKS + 3)))
    assert len(stage.contact(NUMBER).clicks) == MAX_CLICKS


def test_a_click_says_nothing_about_whether_the_contact_may_be_texted() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    assert names(stage.apply(click())) == ["ClickEvent"]
    assert stage.contact(NUMBER).active
