"""Signing in and out, the page behind a one-time link, and the user's own account."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from bus.clock import now_ms
from console.access.callers import TheParts
from console.changes.acts import Act, accounts_of, caller_ip
from console.errors import ApiError, not_found
from console.pages.forms import checked_form
from console.pages.shell import page
from console.pages.visitor import signed_in
from console.parts import Parts
from console.principals import EVERY_ACCOUNT, NOBODY, Principal
from console.signin import devices, links, openid, passwords, sessions
from console.signin.entry import address_of, confirmed, try_password
from console.signin.lockout import Locked
from console.signin.users import User, UserError, change, email_of, user_by_email, user_by_id
from operations.audit import REFUSED

router = APIRouter()

Password = Annotated[str, Form(max_length=passwords.MAX_LENGTH)]
WRONG = "The email address or the password is wrong."


@router.get("/sign-in")
async def sign_in_form(request: Request, next: str = "/") -> Response:
    """The form."""
    return _sign_in_form(request, next)


@router.post("/sign-in")
async def sign_in(
    request: Request,
    parts: TheParts,
    email: Annotated[str, Form(max_length=254)] = "",
    password: Password = "",
    next: Annotated[str, Form(max_length=2_000)] = "/",
) -> Response:
    """Check a password."""

    def again(status: int, problem: str) -> Response:
        return _sign_in_form(request, next, email, problem, status)

    try:
        device = _device(request, parts, email)
        found = await asyncio.to_thread(
            try_password, parts.database, email, password, caller_ip(request), now_ms(), device
        )
    except Locked as locked:
        return again(429, str(locked))
    if found is None:
        await _refused(request, parts, await parts.reads(_grants_of, email), email[:100])
        return again(422, WRONG)
    user, token = found
    await _audit(request, parts, user.principal, "sign-in")
    return _with_device(_with_session(RedirectResponse(_inside(next), 303), parts, token), parts, user)


@router.get(openid.PATH)
async def openid_begin(request: Request, parts: TheParts, next: str = "/") -> Response:
    """Redirect to the OpenID Connect issuer."""
    issuer = _issuer(request)
    request.session["next"] = _inside(next)
    return await issuer.begin(request)


@router.get(openid.CALLBACK)
async def openid_end(request: Request, parts: TheParts) -> Response:
    """Handle the return from the issuer: sign in, if an admin has invited this person."""
    identity = await _issuer(request).identity(request)
    found = await parts.writes(openid.let_in, identity, now_ms())
    if found is None:
        await _refused(request, parts, [EVERY_ACCOUNT], identity.subject[:300])
        raise openid.not_let_in(
            "No admin has invited you, or your identity provider has not verified your email address."
        )
    user, token = found
    await _audit(request, parts, user.principal, "sign-in", by="openid")
    answer = RedirectResponse(_inside(str(request.session.pop("next", "/"))), 303)
    return _with_session(answer, parts, token)


@router.post("/sign-out", dependencies=[Depends(checked_form)])
async def sign_out(request: Request, parts: TheParts) -> Response:
    """End this session."""
    user = signed_in(request)
    await parts.writes(sessions.end, getattr(request.state, "session", ""))
    await _audit(request, parts, user, "sign-out")
    answer = RedirectResponse("/sign-in", 303)
    sessions.clear_cookie(answer, parts.settings.is_behind_tls)
    return answer


@router.get("/welcome/{token}")
async def welcome_form(request: Request, token: str, parts: TheParts) -> Response:
    """The form to choose a password, opened by a one-time link."""
    user = await parts.reads(links.user_of_link, token, now_ms())
    if user is None:
        raise _no_link()
    return _welcome(request, user)


@router.post("/welcome/{token}")
async def welcome(request: Request, token: str, parts: TheParts, password: Password = "") -> Response:
    """Set the password, and sign in."""
    user = await parts.reads(links.user_of_link, token, now_ms())
    if user is None:
        raise _no_link()
    problem = passwords.problem_of(password, user.email)
    if problem is not None:
        return _welcome(request, user, problem, 422)
    hashed = await asyncio.to_thread(passwords.hash_of, password)
    async with _audited(request, parts, user.principal, "password.set"):
        session = await parts.writes(_welcomed, token, hashed)
        if session is None:
            raise _no_link()
    answer = _with_session(RedirectResponse("/", 303), parts, session)
    return _with_device(answer, parts, replace(user, password=hashed))


@router.get("/me")
async def me(request: Request, parts: TheParts) -> Response:
    """The user's own account."""
    user = await _user(request, parts)
    return _me(request, user)


@router.post("/me/password", dependencies=[Depends(checked_form)])
async def change_password(
    request: Request, parts: TheParts, present: Password = "", password: Password = ""
) -> Response:
    """Change the user's password; all other sessions end."""
    user = await _user(request, parts)
    try:
        device = _device(request, parts, user.email)
        fits = await asyncio.to_thread(
            confirmed, parts.database, user.email, present, caller_ip(request), now_ms(), device
        )
    except Locked as locked:
        return _me(request, user, present=str(locked), status=429)
    if fits is None:
        await _audit(request, parts, user.principal, "password.change", outcome=REFUSED)
        return _me(request, user, present="The current password is wrong.", status=422)
    problem = passwords.problem_of(password, user.email)
    if problem is not None:
        return _me(request, user, password=problem, status=422)
    hashed = await asyncio.to_thread(passwords.hash_of, password)
    async with _audited(request, parts, user.principal, "password.change"):
        await parts.writes(_changed, user.id, hashed, getattr(request.state, "session", ""))
    return _with_device(RedirectResponse("/me?notice=password", 303), parts, replace(user, password=hashed))


@router.post("/me/sign-out-everywhere", dependencies=[Depends(checked_form)])
async def sign_out_everywhere(request: Request, parts: TheParts) -> Response:
    """End every session of this user, including this one."""
    user = await _user(request, parts)
    await parts.writes(sessions.end_all, user.id)
    await _audit(request, parts, user.principal, "sign-out.everywhere")
    answer = RedirectResponse("/sign-in", 303)
    sessions.clear_cookie(answer, parts.settings.is_behind_tls)
    return answer


def _issuer(request: Request) -> openid.OpenId:
    found: openid.OpenId | None = request.app.state.openid
    if found is None:
        raise not_found("No OpenID Connect issuer is configured.")
    return found


def _welcomed(connection: Connection, token: str, hashed: str) -> str | None:
    """Return the token of a new session; None if somebody else used the link first."""
    now = now_ms()
    user = links.use_link(connection, token, now)
    if user is None:
        return None
    change(connection, user.id, password=hashed)
    sessions.end_all(connection, user.id)
    return sessions.start(connection, user.id, now)


def _changed(connection: Connection, user_id: int, hashed: str, session: str) -> None:
    change(connection, user_id, password=hashed)
    links.revoke(connection, user_id)
    sessions.end_all(connection, user_id, keep=session)


def _grants_of(connection: Connection, email: str) -> Collection[str]:
    """Return accounts whose admins a failed sign-in concerns."""
    try:
        user = user_by_email(connection, email_of(email))
    except UserError:
        user = None
    return [EVERY_ACCOUNT] if user is None else accounts_of(user.principal)


async def _refused(request: Request, parts: Parts, accounts: Collection[str], who: str) -> None:
    await Act(request, parts, NOBODY).audit("sign-in", who, accounts=accounts, outcome=REFUSED)


async def _audit(request: Request, parts: Parts, user: Principal, action: str, **details: str) -> None:
    await Act(request, parts, user).audit(action, user.name, accounts=accounts_of(user), **details)


def _audited(request: Request, parts: Parts, user: Principal, action: str) -> AbstractAsyncContextManager[None]:
    return Act(request, parts, user).audited(action, user.name, accounts=accounts_of(user))


async def _user(request: Request, parts: Parts) -> User:
    user = await parts.reads(user_by_id, int(signed_in(request).id))
    if user is None:
        raise not_found("There is no such user.")
    return user


def _sign_in_form(request: Request, next: str, email: str = "", problem: str = "", status: int = 200) -> Response:
    known = {"next": _inside(next), "email": email, "problem": problem}
    by_openid = openid.PATH if request.app.state.openid is not None else None
    return page(request, "signin/form.html", None, status, by_openid=by_openid, **known)


def _welcome(request: Request, user: User, problem: str = "", status: int = 200) -> Response:
    least = passwords.MIN_LENGTH
    return page(request, "signin/welcome.html", status=status, user=user, problem=problem, least=least)


def _me(request: Request, user: User, status: int = 200, **problems: str) -> Response:
    """Return the page. `problems`: what is wrong with `present`, the current password, or with `password`, the
    new one."""
    known = {"user": user, "problems": problems, "csrf": request.state.csrf, "least": passwords.MIN_LENGTH}
    return page(request, "signin/me.html", None, status, **known)


def _with_session(answer: Response, parts: Parts, token: str) -> Response:
    sessions.set_cookie(answer, token, parts.settings.is_behind_tls)
    return answer


def _with_device(answer: Response, parts: Parts, user: User) -> Response:
    devices.set_cookie(answer, user, parts.settings.is_behind_tls, now_ms())
    return answer


def _device(request: Request, parts: Parts, email: str) -> str:
    """Return the request's device cookie for this address, if any."""
    name = devices.cookie_name(address_of(email) or "", parts.settings.is_behind_tls)
    return request.cookies.get(name, "")


def _inside(path: str) -> str:
    """Return a path within this console; anything else becomes the entry page."""
    is_path = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_path else "/"


def _no_link() -> ApiError:
    return ApiError(
        404,
        "not_found",
        "This link does not work.",
        "It has been used, was replaced by a newer one, or is older than a day. An admin can create a new one.",
    )
