"""Settings > Users: who can see the account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from sqlalchemy import Connection
from starlette.responses import Response

from bus.clock import now_ms
from console.access.callers import TheParts
from console.changes.acts import Act
from console.errors import conflict, not_found, validation_failed
from console.pages.shell import done, page
from console.pages.visitor import Administrator, Visitor
from console.parts import Parts
from console.principals import EVERY_ACCOUNT, Role
from console.signin.links import new_link, path_of
from console.signin.users import User, UserError, add_user, all_users, email_of, grant, user_by_email, user_by_id

router = APIRouter(prefix="/accounts/{account}/users")

NONE = "none"


@router.get("")
async def show_users(request: Request, parts: TheParts, visitor: Administrator) -> Response:
    """Users with a role in the account, and the form that invites one."""
    return await _page(request, parts, visitor)


@router.post("")
async def invite(
    request: Request,
    parts: TheParts,
    visitor: Administrator,
    email: Annotated[str, Form(max_length=254)] = "",
    role: Annotated[str, Form(max_length=20)] = "viewer",
) -> Response:
    """Give somebody a role. A user without a password gets a one-time link, which is shown once."""
    try:
        address, wanted = email_of(email), Role.named(role)
    except ValueError as error:
        raise validation_failed([str(error)]) from None
    await parts.reads(_invitable, visitor, address)
    act = Act(request, parts, visitor.principal)
    async with act.audited("user.grant", address, accounts=[visitor.account], role=str(wanted)):
        path = await parts.writes(_invited, visitor, address, wanted)
    if path is None:
        return done(visitor, "/users", "saved")
    return await _page(request, parts, visitor, f"{parts.settings.address}{path}")


@router.post("/{user_id}/role")
async def change_role(
    request: Request,
    user_id: Annotated[int, Path(ge=1, lt=2**63)],
    parts: TheParts,
    visitor: Administrator,
    role: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Change or revoke a user's role in this account."""
    user = await parts.reads(user_by_id, user_id)
    if user is None or visitor.account not in user.grants:
        raise not_found("There is no such user in this account.")
    if str(user.id) == visitor.principal.id:
        raise conflict("You cannot change your own role; another admin can.")
    try:
        wanted = None if role == NONE else Role.named(role)
    except ValueError as error:
        raise validation_failed([f"role: {error}"]) from None
    act = Act(request, parts, visitor.principal)
    async with act.audited("user.grant", user.email, accounts=[visitor.account], role=role):
        await parts.writes(grant, user.id, visitor.account, wanted)
    return done(visitor, "/users", "saved")


@router.post("/{user_id}/link")
async def make_link(
    request: Request, user_id: Annotated[int, Path(ge=1, lt=2**63)], parts: TheParts, visitor: Administrator
) -> Response:
    """Create a one-time link to set a new password, for a user of this account alone. It is shown once."""
    user = await parts.reads(user_by_id, user_id)
    if user is None or visitor.account not in user.grants:
        raise not_found("There is no such user in this account.")
    if set(user.grants) != {visitor.account}:
        raise conflict("This user has roles elsewhere too. Whoever runs this installation can: `trackly users link`.")
    if user.disabled_at is not None:
        raise conflict("This user is disabled. Whoever runs this installation can change that.")
    act = Act(request, parts, visitor.principal)
    async with act.audited("user.link", user.email, accounts=[visitor.account]):
        token = await parts.writes(new_link, user.id, now_ms())
    return await _page(request, parts, visitor, f"{parts.settings.address}{path_of(token)}")


def _invitable(connection: Connection, visitor: Visitor, email: str) -> User | None:
    """Return the user of an address, or None. Raises ApiError 409 if a page must not give it a role.

    Whoever opened a user's first link may know its password, and would gain the new role. So the user must belong to
    this account alone, or sign in through OpenID Connect, without a password.
    """
    user = user_by_email(connection, email)
    if user is None or user.subject is not None or set(user.grants) == {visitor.account}:
        return user
    raise conflict(
        "This user already exists. Others have invited it, and may know its password. Whoever runs this"
        " installation lets it set a new one by `trackly users link`, and gives it a role by `trackly users grant`."
    )


def _invited(connection: Connection, visitor: Visitor, email: str, role: Role) -> str | None:
    """Return the path of the link for a user without a password; None if none is needed. Raises ApiError 409."""
    user = _invitable(connection, visitor, email)
    if user is None:
        try:
            user = add_user(connection, email, "", {visitor.account: role})
        except UserError as error:
            raise conflict(str(error)) from None
    else:
        grant(connection, user.id, visitor.account, role)
    return path_of(new_link(connection, user.id, now_ms())) if user.state == "invited" else None


async def _page(request: Request, parts: Parts, visitor: Visitor, link: str | None = None) -> Response:
    account, everybody = visitor.account, await parts.reads(all_users)
    own = [user for user in everybody if account in user.grants]
    others = [user for user in everybody if account not in user.grants and EVERY_ACCOUNT in user.grants]
    # An account's admin must not manage the installation's admins.
    named = own + others if visitor.principal.is_operator else own
    return page(
        request,
        "users/list.html",
        visitor,
        users=[(user, str(user.principal.role_in(account)), account in user.grants) for user in named],
        unnamed=len(own) + len(others) - len(named),
        link=link,
        roles=list(map(str, Role)),
        none=NONE,
    )
