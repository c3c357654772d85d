"""Failure codes as providers report them, and how often each came."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, select, text

from console.queries.rows import At
from database.tables import FAILED, receipts
from providers.codes import codes_of, unknown_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A failure code. `code` is what an account writes to give it another class: provider, space, code."""

    account: str
    code: str
    detail: str
    status_class: str
    is_known: bool
    failures: int
    last_at: At


def codes_of_failures(connection: Connection, account: str | None, since: int) -> list[Code]:
    """Return the codes of failures reported since a time, in ms: unknown ones first, then by frequency."""
    columns = receipts.c
    told = (columns.account, columns.provider, columns.status, columns.provider_status, columns.provider_code)
    meant = (columns.status_detail, columns.status_class)
    failures = (
        select(*told, *meant, func.count().label("failures"), func.max(columns.received_at).label("last_at"))
        .where(columns.received_at >= since, text(FAILED))
        .group_by(*told, *meant)
    )
    if account is not None:
        failures = failures.where(columns.account == account)
    found: dict[tuple[str, str, str], Code] = {}
    for row in connection.execute(failures):
        unknown = unknown_code(row)
        code = Code(
            account=row.account,
            code=f"{row.provider} {unknown or next(codes_of(row))}",
            detail=row.status_detail,
            status_class=row.status_class,
            is_known=unknown is None,
            failures=row.failures,
            last_at=row.last_at,
        )
        key = (code.account, code.code, code.status_class)
        known = found.get(key)
        if known is not None:
            last_at = max(known.last_at, code.last_at)
            code = replace(known, failures=known.failures + code.failures, last_at=last_at)
        found[key] = code
    return sorted(found.values(), key=lambda each: (each.is_known, -each.failures, each.account, each.code))
