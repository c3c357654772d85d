"""Who acts: a user or an API key, and what it may do with each account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from schemas.records import ApiKey

EVERY_ACCOUNT = ""
"""The account of a grant that holds for every account, those too that come later."""


class Role(IntEnum):
    """What may be done with an account; a greater role may do what a lesser one may.

    viewer: read, with phone numbers masked. support: see numbers, remove and restore contacts, replay, send tests,
    pause and resume. admin: settings, secrets, keys, users, the audit log.
    """

    VIEWER = 1
    SUPPORT = 2
    ADMIN = 3

    @classmethod
    def named(cls, text: str) -> Role:
        """The role of this name. Raises ValueError."""
        for role in cls:
            if str(role) == text:
                return role
        raise ValueError(f"there is no role {text!r}; roles are {', '.join(map(str, cls))}")

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Principal:
    """A user (`kind` is `user`, `id` the row's id, `name` the email) an API key (`key`, its id, its name) or
    a customer who has opened a link (`customer`, the link's id).

    `grants` are roles by account; under EVERY_ACCOUNT stands the role in all of them. `endpoint` is `account/endpoint`
    where it acts for the customer of that one endpoint: it has no role in the account then.
    """

    kind: Literal["user", "key", "customer"]
    id: str
    name: str
    grants: Mapping[str, Role] = field(repr=False)
    endpoint: str | None = None

    def role_in(self, account: str) -> Role | None:
        """The greatest role granted for the account. None: it sees nothing of it, and may not learn whether it is."""
        roles = [self.grants[name] for name in (account, EVERY_ACCOUNT) if name in self.grants]
        return max(roles, default=None)

    def may(self, role: Role, account: str) -> bool:
        """Whether it has this role in the account, or a greater one."""
        return (self.role_in(account) or 0) >= role

    def accounts(self, all_ids: Iterable[str]) -> list[str]:
        """Those of the accounts that it may see, sorted."""
        return sorted(account for account in all_ids if self.role_in(account) is not None)

    @property
    def is_operator(self) -> bool:
        """Whether it is an admin of every account: only then it may see what belongs to no account."""
        return self.grants.get(EVERY_ACCOUNT) is Role.ADMIN

    @property
    def actor(self) -> str:
        """The name in the audit log: `user:ann@example.com`, `key:shop`."""
        return f"{self.kind}:{self.name}"


def grants_of(roles: Iterable[tuple[str, str]]) -> dict[str, Role]:
    """Roles by account. One that this version does not know grants nothing: a newer one has stored it."""
    known = {str(role): role for role in Role}
    return {account: known[name] for account, name in roles if name in known}


def principal_of(key: ApiKey) -> Principal:
    """Who acts by an API key."""
    if key.endpoint is not None:
        return Principal("key", key.id, key.name, {}, f"{key.account}/{key.endpoint}")
    return Principal("key", key.id, key.name, grants_of([(key.account or EVERY_ACCOUNT, key.role)]))
