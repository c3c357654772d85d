"""The meaning of Infobip's codes: a status's group, name, and id, and the error behind it. The tables are data.

https://www.infobip.com/docs/essentials/api-essentials/response-status-and-error-codes, `data/infobip.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from providers.fields import integer, text
from providers.meanings import Meaning, faults_of_senders, meanings, tables

_TABLES = tables("infobip")
READ = meanings(_TABLES["events"], "name")["SEEN"]
"""The meaning of a read receipt."""

_GROUPS: Mapping[int, Meaning] = meanings(_TABLES["groups"], "id")
_GROUP_OF_NAME: Mapping[str, int] = {name: row["id"] for row in _TABLES["groups"] for name in row["names"]}
_FAILED_GROUPS = (2, 5)
_GROUPS_OF_STATUS: Mapping[str, set[int]] = {
    row["name"]: {each["group"] for each in _TABLES["statuses"] if each["name"] == row["name"]}
    for row in _TABLES["statuses"]
}


def _meaning(row: Mapping[str, Any], group: int) -> Meaning:
    return replace(_GROUPS[group], detail=row["detail"], status_class=row["class"], final=row.get("final", True))


# A name is accepted in either group of failures: senders disagree on where it belongs.
_BY_NAME: Mapping[tuple[int, str], Meaning] = {
    (group, row["name"]): _meaning(row, group)
    for row in _TABLES["bare_ids"] + _TABLES["statuses"]
    for group in (_FAILED_GROUPS if row["group"] in _FAILED_GROUPS else (row["group"],))
}
# Bare ids come last and override Infobip's own.
_BY_ID: Mapping[tuple[int, int], Meaning] = {
    (row["group"], row["id"]): _meaning(row, row["group"]) for row in _TABLES["statuses"] + _TABLES["bare_ids"]
}
_BY_ERROR: Mapping[tuple[int, str | int], Meaning] = {
    (group, row[key]): _meaning(row, group)
    for row in _TABLES["errors"]
    for group in _FAILED_GROUPS
    for key in ("id", "name")
}
_KNOWN_ERRORS = frozenset(row["name"] for row in _TABLES["errors"]) | frozenset(
    error["name"] for left in _TABLES["left_to_status"] for error in left["errors"]
)
_STATUSES = _TABLES["statuses"] + _TABLES["bare_ids"]
_LEFT = [error for left in _TABLES["left_to_status"] for error in left["errors"]]
# A report without a status name has our detail in its place.
_NAMES = frozenset(row[key] for row in _STATUSES + _TABLES["errors"] for key in ("name", "detail"))
_IDS = frozenset(f"{row['group']},{row['id']}" for row in _STATUSES)
_ERRORS = frozenset(str(row["id"]) for row in _TABLES["errors"] + _LEFT)
_is_fault_of_sender = faults_of_senders(_TABLES["faults_of_senders"])
_KNOWN_NAMES = frozenset(name for _, name in _BY_NAME)
_REMOVING = frozenset({"complaint", "invalid", "opt_out"})


def group_of(status: Mapping[str, Any]) -> int | None:
    """Return a status's group, by number or else by name; None when both are unknown. If a status has no group, its own
    name tells it."""
    group = integer(status.get("groupId"))
    if group in _GROUPS:
        return group
    group_name = text(status.get("groupName")).strip().upper()
    if group is None and not group_name:
        groups = _GROUPS_OF_STATUS.get(text(status.get("name")).strip().upper(), set())
        return next(iter(groups)) if len(groups) == 1 else None
    return _GROUP_OF_NAME.get(group_name)


def meaning_of(group: int, status: Mapping[str, Any], error: Mapping[str, Any]) -> Meaning:
    """Return the meaning of a report's `status` and `error` objects. The group determines the public status.

    Within the group the name decides, and the id only if there is no name: senders number their statuses differently
    (`bare_ids` in the data). An error may take the place of a status (India's DLT). An unknown name is its own detail.
    An unknown failure is transient: it neither removes a contact at once nor lets a dead number be texted forever. A
    name that belongs to another group is ignored.
    """
    own_name, status_id = text(status.get("name")).strip(), integer(status.get("id"))
    name = own_name.upper()
    meaning = _BY_NAME.get((group, name)) or _BY_ERROR.get((group, name))
    if meaning is None and name and name not in _KNOWN_NAMES:
        meaning = replace(_unknown(group), detail=own_name)
    if meaning is None and status_id is not None:
        meaning = _BY_ID.get((group, status_id)) or _BY_ERROR.get((group, status_id)) or _unknown(group, status_id)
    if meaning is None:
        meaning = _GROUPS[group]
    return _refined(group, meaning, error)


def _unknown(group: int, code: int | None = None) -> Meaning:
    meaning = _GROUPS[group]
    if meaning.status in ("pending", "delivered"):
        return meaning
    is_fault = code is not None and _is_fault_of_sender(code)
    return replace(meaning, status_class="neutral" if is_fault else "transient")


def _refined(group: int, meaning: Meaning, error: Mapping[str, Any]) -> Meaning:
    """Refine a failure by its error, which is more specific than the status, but never turns a removal into a mere
    failure.

    Again the name decides, and the id only if there is no known name. An unknown error in a range of sender faults says
    nothing about the recipient. `permanent` is ignored: Infobip also sets it on temporary handset failures.
    """
    name, error_id = text(error.get("name")).strip().upper(), integer(error.get("id")) or 0
    found = _BY_ERROR.get((group, name or error_id))
    if group in _FAILED_GROUPS and found is None and name not in _KNOWN_ERRORS and _is_fault_of_sender(error_id):
        found = replace(meaning, status_class="neutral")
    if found is None or (meaning.status_class in _REMOVING and found.status_class not in _REMOVING):
        return meaning
    return found


def unknown_code(status: str, code: str | None) -> str | None:
    """Return the code of a failure that no table has; None if all are known.

    `code` is `group,id/error`. A status with a name is looked up by name, otherwise by group and id.
    """
    group_and_id, _, error = (code or "").partition("/")
    name = status.strip().upper()
    if name in _GROUP_OF_NAME:
        status_id = group_and_id.partition(",")[2]
        if status_id and group_and_id not in _IDS and status_id not in _ERRORS:
            return group_and_id
    elif name not in _NAMES:
        return status
    return error if error and error not in _ERRORS else None


def parted(code: str) -> tuple[str, str]:
    """Return the status's group and id, and the error number."""
    outcome, _, error = code.partition("/")
    return outcome, error
