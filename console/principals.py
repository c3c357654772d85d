"""Principals: a user or an API key, and its role in each account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from schemas.records import ApiKey

EVERY_ACCOUNT = ""
"""The account of a grant for every account, including future ones."""


class Role(IntEnum):
    """What may be done with an account; a higher role includes the lower ones.

    viewer: read, with phone numbers masked. support: see numbers, remove and restore contacts, replay, send tests,
    pause and resume. admin: settings, secrets, keys, users, the audit log.
    """

    VIEWER = 1
    SUPPORT = 2
    ADMIN = 3

    @classmethod
    def named(cls, text: str) -> Role:
        """Return the role with this name. Raises ValueError."""
        for role in cls:
            if str(role) == text:
                return role
        raise ValueError(f"there is no role {text!r}; roles are {', '.join(map(str, cls))}")

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Principal:
    """A user (`kind` is `user`, `id` the row's id, `name` the email), an API key (`key`, its id, its name), a customer
    who has opened a link (`customer`, the link's id), or NOBODY.

    `grants` are roles by account; EVERY_ACCOUNT has the role in all of them. `endpoint` is `account/endpoint` if it
    acts for the customer of that one endpoint: then it has no role in the account.
    """

    kind: Literal["user", "key", "customer", "nobody"]
    id: str
    name: str
    grants: Mapping[str, Role] = field(repr=False)
    endpoint: str | None = None

    def role_in(self, account: str) -> Role | None:
        """Return the highest role granted for the account. None: the account and its existence are hidden from it."""
        roles = [self.grants[name] for name in (account, EVERY_ACCOUNT) if name in self.grants]
        return max(roles, default=None)

    def may(self, role: Role, account: str) -> bool:
        """Whether it has this role in the account, or a higher one."""
        return (self.role_in(account) or 0) >= role

    def accounts(self, all_ids: Iterable[str]) -> list[str]:
        """Return those of the accounts that it may see, sorted."""
        return sorted(account for account in all_ids if self.role_in(account) is not None)

    @property
    def is_operator(self) -> bool:
        """Whether it is an admin of every account, and so may see data without an account."""
        return self.grants.get(EVERY_ACCOUNT) is Role.ADMIN

    @property
    def actor(self) -> str:
        """Its name in the audit log: `user:ann@example.com`, `key:shop`."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


NOBODY = Principal("nobody", "", "", {})
"""Whoever is not signed in."""


def grants_of(roles: Iterable[tuple[str, str]]) -> dict[str, Role]:
    """Return roles by account. A role unknown to this version, stored by a newer one, grants nothing."""
    known = {str(role): role for role in Role}
    return {account: known[name] for account, name in roles if name in known}


def principal_of(key: ApiKey) -> Principal:
    """Return the principal of an API key."""
    if key.endpoint is not None:
        return Principal("key", key.id, key.name, {}, f"{key.account}/{key.endpoint}")
    return Principal("key", key.id, key.name, grants_of([(key.account or EVERY_ACCOUNT, key.role)]))
