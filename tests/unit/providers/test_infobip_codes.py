"""What Infobip's status and error codes mean here."""

from __future__ import annotations

from typing import Any

import pytest

from providers.base import Malformed
from providers.infobip import PROVIDER
from tests.unit.providers.provider_callbacks import infobip, infobip_receipt, outcome


@pytest.mark.parametrize(
    ("name", "group", "expected"),
    [
        ("DELIVERED_TO_HANDSET", 3, ("delivered", "DELIVERED_TO_HANDSET", "delivered", True)),
        ("DELIVERED_TO_OPERATOR", 3, ("delivered", "DELIVERED_TO_OPERATOR", "delivered", False)),
        ("REJECTED_SPAM", 5, ("rejected", "REJECTED_SPAM", "complaint", True)),
        ("REJECTED_DESTINATION", 5, ("rejected", "REJECTED_DESTINATION", "invalid", True)),
        ("REJECTED_ABSENT_SUBSCRIBER", 2, ("undeliverable", "REJECTED_ABSENT_SUBSCRIBER", "transient", True)),
        ("REJECTED_OPERATOR", 2, ("undeliverable", "REJECTED_OPERATOR", "transient", True)),
        ("REJECTED_SYSTEM_ERROR", 2, ("undeliverable", "REJECTED_SYSTEM_ERROR", "neutral", True)),
        ("REJECTED_SYSTEM_ERROR", 5, ("rejected", "REJECTED_SYSTEM_ERROR", "neutral", True)),
        ("REJECTED_DUPLICATE", 2, ("undeliverable", "REJECTED_DUPLICATE", "neutral", True)),
        ("REJECTED_DUPLICATE", 5, ("rejected", "REJECTED_DUPLICATE", "neutral", True)),
        ("EXPIRED_EXPIRED", 4, ("expired", "EXPIRED", "transient", True)),
        ("PENDING_ENROUTE", 1, ("pending", "PENDING_ENROUTE", "neutral", False)),
        ("UNDELIVERABLE_REJECTED_OPERATOR", 2, ("undeliverable", "REJECTED_OPERATOR", "transient", True)),
        (
            "UNDELIVERABLE_NOT_DELIVERED",
            2,
            ("undeliverable", "UNDELIVERABLE_NOT_DELIVERED", "transient", True),
        ),
        ("REJECTED_DUPLICATE_MESSAGE_ID", 5, ("rejected", "REJECTED_DUPLICATE", "neutral", True)),
        ("REJECTED_PREFIX_MISSING", 5, ("rejected", "REJECTED_DESTINATION", "invalid", True)),
        ("REJECTED_DND", 5, ("rejected", "REJECTED_DND", "opt_out", True)),
        (
            "REJECTED_DESTINATION_BLOCKLISTED",
            5,
            ("rejected", "REJECTED_DESTINATION_BLOCKLISTED", "opt_out", True),
        ),
        ("REJECTED_NOT_ENOUGH_CREDITS", 5, ("rejected", "REJECTED_NOT_ENOUGH_CREDITS", "neutral", True)),
        ("rejected_destination", 5, ("rejected", "REJECTED_DESTINATION", "invalid", True)),
    ],
)
def test_names_decide(name: str, group: int, expected: tuple[str, str, str, bool]) -> None:
    assert outcome(infobip_receipt({"groupId": group, "name": name})) == expected


@pytest.mark.parametrize(
    ("group", "status_id", "detail", "status_class"),
    [
        (2, 7, "REJECTED_ABSENT_SUBSCRIBER", "transient"),
        (2, 9, "REJECTED_SYSTEM_ERROR", "neutral"),
        (2, 14, "REJECTED_OPERATOR", "transient"),
        (2, 15, "REJECTED_DUPLICATE", "neutral"),
        (3, 6, "DELIVERED_TO_OPERATOR", "delivered"),
        (5, 51, "REJECTED_SPAM", "complaint"),
        (5, 52, "REJECTED_DESTINATION", "invalid"),
        (1, 7, "PENDING_ENROUTE", "neutral"),
        (3, 2, "DELIVERED_TO_OPERATOR", "delivered"),
        (3, 5, "DELIVERED_TO_HANDSET", "delivered"),
        (4, 15, "EXPIRED", "transient"),
        (5, 6, "REJECTED_NETWORK", "neutral"),
        (5, 14, "REJECTED_DESTINATION_BLOCKLISTED", "opt_out"),
    ],
)
def test_a_bare_id_means_what_its_group_says(group: int, status_id: int, detail: str, status_class: str) -> None:
    receipt = infobip_receipt({"groupId": group, "id": status_id})
    assert (receipt.status_detail, receipt.status_class) == (detail, status_class)


@pytest.mark.parametrize(
    ("group", "status_id", "name", "detail", "status_class"),
    [
        (2, 9, "UNDELIVERABLE_NOT_DELIVERED", "UNDELIVERABLE_NOT_DELIVERED", "transient"),
        (5, 51, "MISSING_TO", "MISSING_TO", "neutral"),
        (5, 15, "REJECTED_DUPLICATE", "REJECTED_DUPLICATE", "neutral"),
        (3, 2, "DELIVERED_TO_HANDSET", "DELIVERED_TO_HANDSET", "delivered"),
        (5, 52, "REJECTED_SOMETHING_NEW", "REJECTED_SOMETHING_NEW", "transient"),
        (2, 7, "UNDELIVERABLE_SOMETHING_NEW", "UNDELIVERABLE_SOMETHING_NEW", "transient"),
    ],
)
def test_a_name_wins_over_an_id(group: int, status_id: int, name: str, detail: str, status_class: str) -> None:
    receipt = infobip_receipt({"groupId": group, "id": status_id, "name": name})
    assert (receipt.status_detail, receipt.status_class) == (detail, status_class)


def test_one_id_in_two_groups_has_two_outcomes() -> None:
    statuses = [infobip_receipt({"groupId": group, "id": 87, "name": "SIGNALS_BLOCKED"}).status for group in (4, 5)]
    assert statuses == ["expired", "rejected"]


def test_a_name_of_another_group_is_passed_over() -> None:
    receipt = infobip_receipt({"groupId": 2, "id": 7, "name": "PENDING_ENROUTE"})
    assert outcome(receipt) == ("undeliverable", "REJECTED_ABSENT_SUBSCRIBER", "transient", True)
    assert receipt.provider_status == "PENDING_ENROUTE"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"groupName": "PENDING"}, ("pending", "PENDING", "neutral", False)),
        ({"groupName": "ACCEPTED"}, ("pending", "PENDING", "neutral", False)),
        ({"groupId": 0, "groupName": "accepted"}, ("pending", "PENDING", "neutral", False)),
        ({"groupName": "UNDELIVERABLE"}, ("undeliverable", "UNDELIVERABLE", "transient", True)),
        ({"groupName": "EXPIRED"}, ("expired", "EXPIRED", "transient", True)),
        ({"groupName": "REJECTED"}, ("rejected", "REJECTED", "neutral", True)),
        ({"groupId": 3, "groupName": "REJECTED"}, ("delivered", "DELIVERED", "delivered", True)),
        ({"groupId": 42, "groupName": "EXPIRED"}, ("expired", "EXPIRED", "transient", True)),
        (
            {"groupName": "UNDELIVERABLE", "id": 7},
            ("undeliverable", "REJECTED_ABSENT_SUBSCRIBER", "transient", True),
        ),
    ],
)
def test_the_group_is_known_by_its_number_else_by_its_name(status: dict[str, Any], expected: tuple[Any, ...]) -> None:
    assert outcome(infobip_receipt(status)) == expected


def test_a_status_without_a_group_has_that_of_its_name() -> None:
    assert outcome(infobip_receipt({"name": "delivered_to_handset"}))[:2] == ("delivered", "DELIVERED_TO_HANDSET")


@pytest.mark.parametrize("name", ["SIGNALS_BLOCKED", "NEW_STATUS", ""])
def test_a_name_of_two_groups_or_of_none_tells_no_group(name: str) -> None:
    (item,) = PROVIDER.read(infobip({"messageId": "m-1", "status": {"name": name}}))
    assert isinstance(item, Malformed)
    assert (item.reason, repr(name) in item.error) == ("unknown_status", True)


def test_a_report_that_never_came_is_no_failure_of_the_recipient() -> None:
    status = {"groupId": 4, "groupName": "EXPIRED", "id": 29, "name": "EXPIRED_DLR_UNKNOWN"}
    assert outcome(infobip_receipt(status)) == ("expired", "EXPIRED_DLR_UNKNOWN", "neutral", True)


@pytest.mark.parametrize(
    ("error", "detail", "status_class"),
    [
        ({"id": 1, "name": "EC_UNKNOWN_SUBSCRIBER"}, "REJECTED_DESTINATION", "invalid"),
        ({"id": 3041, "name": "EC_DEACTIVATED_LIST"}, "REJECTED_DESTINATION", "invalid"),
        ({"id": 6, "name": "EC_ABSENT_SUBSCRIBER_SM"}, "REJECTED_ABSENT_SUBSCRIBER", "transient"),
        ({"id": 27, "name": "EC_ABSENT_SUBSCRIBER"}, "REJECTED_ABSENT_SUBSCRIBER", "transient"),
        ({"id": 603, "name": "EC_CONTENT_BLOCKED"}, "UNSUBSCRIBED", "opt_out"),
        ({"id": 573, "name": "EC_SC_BLOCKED_BY_END_USER"}, "EC_SC_BLOCKED_BY_END_USER", "opt_out"),
        ({"id": 2050, "name": "EC_DEST_ADDRESS_BLACKLISTED"}, "REJECTED_DND", "opt_out"),
        (
            {"id": 2052, "name": "EC_BLACKLISTED_DESTINATIONADDRESS"},
            "REJECTED_DESTINATION_BLOCKLISTED",
            "opt_out",
        ),
        ({"id": 607, "name": "EC_REJECTED_SPAM_BY_OPERATOR"}, "REJECTED_SPAM", "neutral"),
        ({"id": 15017, "name": "EC_RECIPIENT_DEACTIVATED"}, "REJECTED_DESTINATION", "invalid"),
        ({"id": 7033}, "EC_MARKETING_OPT_OUT", "opt_out"),
        ({"id": 7003, "name": "EC_BLOCKED_USER"}, "EC_BLOCKED_USER", "opt_out"),
        ({"id": 4121, "name": "EC_HEADER_NOT_FOUND"}, "EC_HEADER_NOT_FOUND", "neutral"),
        ({"id": 4137}, "REJECTED_DND", "opt_out"),
        ({"id": 541, "name": "EC_LIMIT_REACHED"}, "EC_LIMIT_REACHED", "neutral"),
        ({"id": 4202, "name": "EC_10DLC_LIMIT_REACHED"}, "EC_10DLC_LIMIT_REACHED", "neutral"),
        ({"id": 4101, "name": "EC_VALIDITY_EXPIRED"}, "EXPIRED", "transient"),
        ({"id": 5492, "name": "EC_DUPLICATE_MESSAGE"}, "REJECTED_DUPLICATE", "neutral"),
        ({"id": 603}, "UNSUBSCRIBED", "opt_out"),
        ({"name": "EC_CONTENT_BLOCKED"}, "UNSUBSCRIBED", "opt_out"),
        ({"id": 0, "name": "NO_ERROR"}, "UNDELIVERABLE_NOT_DELIVERED", "transient"),
        ({"id": 34, "name": "EC_SYSTEM_FAILURE"}, "UNDELIVERABLE_NOT_DELIVERED", "transient"),
        ({"id": 99999, "permanent": True}, "UNDELIVERABLE_NOT_DELIVERED", "transient"),
    ],
)
@pytest.mark.parametrize(("group", "status"), [(2, "undeliverable"), (5, "rejected")])
def test_the_error_says_why_a_message_failed(
    group: int, status: str, error: dict[str, Any], detail: str, status_class: str
) -> None:
    receipt = infobip_receipt({"groupId": group, "name": "UNDELIVERABLE_NOT_DELIVERED"}, error)
    assert outcome(receipt) == (status, detail, status_class, True)


def test_the_name_of_an_error_wins_over_its_id() -> None:
    receipt = infobip_receipt({"groupId": 2}, {"id": 1, "name": "EC_ABSENT_SUBSCRIBER"})
    assert receipt.status_class == "transient"


@pytest.mark.parametrize(
    ("error", "status_class"),
    [
        # India's DLT, a parameter of an MMS: what is new there is the sender's fault too.
        ({"id": 4152, "name": "EC_SOMETHING_NEW"}, "neutral"),
        ({"id": 15204}, "neutral"),
        ({"id": 9_999}, "transient"),
        # A name that is known wins over an id of such a range.
        ({"id": 4152, "name": "EC_ABSENT_SUBSCRIBER"}, "transient"),
    ],
)
def test_an_unknown_error_of_a_range_that_is_the_senders_fault_says_nothing_about_the_recipient(
    error: dict[str, Any], status_class: str
) -> None:
    assert infobip_receipt({"groupId": 2, "name": "UNDELIVERABLE_NOT_DELIVERED"}, error).status_class == status_class
    assert infobip_receipt({"groupId": 5, "name": "REJECTED_DND"}, error).status_class == "opt_out"


@pytest.mark.parametrize(
    ("status", "detail", "status_class"),
    [
        ({"groupId": 5, "id": 4106, "name": "EC_BLOCKED_BY_DLT"}, "EC_BLOCKED_BY_DLT", "neutral"),
        ({"groupId": 2, "id": 4121}, "EC_HEADER_NOT_FOUND", "neutral"),
        ({"groupId": 2, "id": 4199}, "UNDELIVERABLE", "neutral"),
        ({"groupId": 5, "id": 777}, "REJECTED", "transient"),
        ({"groupId": 1, "id": 777}, "PENDING", "neutral"),
        ({"groupId": 5}, "REJECTED", "neutral"),
    ],
)
def test_an_error_may_stand_in_the_place_of_the_status(status: dict[str, Any], detail: str, status_class: str) -> None:
    receipt = infobip_receipt(status)
    assert (receipt.status_detail, receipt.status_class) == (detail, status_class)


@pytest.mark.parametrize("group", [1, 3, 4])
def test_an_error_changes_nothing_unless_the_message_failed(group: int) -> None:
    status = {"groupId": group}
    assert outcome(infobip_receipt(status, {"id": 603})) == outcome(infobip_receipt(status))


@pytest.mark.parametrize(
    ("name", "error_id", "status_class"),
    [
        ("REJECTED_DESTINATION", 351, "invalid"),
        ("REJECTED_SPAM", 6, "complaint"),
        ("REJECTED_DND", 541, "opt_out"),
        ("REJECTED_DESTINATION", 603, "opt_out"),
    ],
)
def test_an_error_never_turns_a_removal_into_a_mere_failure(name: str, error_id: int, status_class: str) -> None:
    assert infobip_receipt({"groupId": 5, "name": name}, {"id": error_id}).status_class == status_class


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        ({"groupId": 2, "id": 4}, {"id": 603}, "2,4/603"),
        ({"groupId": 2, "id": 4}, {"id": 0}, "2,4"),
        ({"groupId": 2, "id": 4}, None, "2,4"),
        ({"groupName": "UNDELIVERABLE"}, {"id": 11}, "2/11"),
        ({"groupName": "UNDELIVERABLE"}, None, "2"),
    ],
)
def test_the_code_is_group_and_id_and_the_error_behind_them(
    status: dict[str, Any], error: dict[str, Any] | None, code: str
) -> None:
    assert infobip_receipt(status, error).provider_code == code
