"""`/api/postbacks/{network}`: conversions posted by affiliate networks.

The account comes from the path (`/api/postbacks/{network}/{account}`), from `account`, or from the token. Without any
of them, the click decides: the clicks stage knows who registered it and what that account requires of callers.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.responses import Response

from accounts.secrets import SecretMissing
from accounts.store import AccountsReader
from ingest.errors import Refused, not_found
from ingest.incoming import Incoming
from ingest.intake import Intake, Sender
from ingest.redaction import storable_body
from ingest.tokens import PostbackTokens
from providers import NETWORKS
from providers.base import NotAuthentic, Unreadable
from providers.fields import BadItem
from providers.networks import (
    ACCOUNT,
    CLICK_ID,
    METHODS,
    TOKEN,
    Network,
    Parameters,
    is_unfilled,
    query_parameters,
    read_parameters,
)
from schemas.records import AccountConfig

LEFT_TO_THE_CLICK = ""
"""Stands in for an account when the click decides."""


class Postbacks:
    """The networks' route."""

    def __init__(self, intake: Intake, reader: AccountsReader) -> None:
        self._intake = intake
        self._tokens = PostbackTokens(reader)

    async def take(self, request: Incoming) -> Response:
        """Store a postback, then answer `OK`.

        A postback without a click is stored too, but answered 400, so that whoever tests a template sees the mistake. A
        network that pauses a postback after a few errors gets 200, unless the click id is a macro that was not filled:
        then it is a test, or every postback is wrong.
        """
        name = request.name
        network = NETWORKS.get(name)
        if network is None:
            raise not_found()
        if request.method not in METHODS:
            allow = ", ".join(sorted(METHODS))
            raise Refused(405, "method_not_allowed", f"Postbacks must use {allow}.", {"Allow": allow})
        async with self._intake.body(request, network.max_body_bytes) as body:
            parameters, problem = _read(network, request, body)
            caller = self._intake.caller(request)
            account = await self._account(request, parameters, caller)
            await self._intake.store(
                request,
                Sender(
                    name,
                    LEFT_TO_THE_CLICK if account is None else account.id,
                    caller,
                    account is not None and bool(account.postbacks or account.trusted_postback_cidrs),
                    {},
                ),
                path=request.path,
                body=storable_body(body, request.headers.get("content-type")),
                answer_within=network.answer_within,
            )
        if problem is None:
            return Response(b"OK", media_type="text/plain")
        if not network.pauses_on_errors or _has_macro(request.query):
            raise problem
        return Response(f"OK, stored but not understood: {problem}", media_type="text/plain")

    async def _account(self, request: Incoming, parameters: Parameters, caller: str) -> AccountConfig | None:
        """Return the account that is named or that owns the token, once the postback is verified. None: no account."""
        named = [value for name, value in parameters if name == ACCOUNT]
        named += [] if request.rest is None else [request.rest]
        tokens = {value for name, value in parameters if name == TOKEN}
        if not named and not tokens:
            return None
        try:
            if len(tokens) > 1:
                raise NotAuthentic("wrong_token", "the URL has more than one token")
            token = next(iter(tokens), None)
            account = self._intake.account(sorted(set(named)) or [await self._tokens.owner(token or "")])
            request.account = account.id
            await self._tokens.check(account, token)
        except NotAuthentic as refused:
            raise Refused(403, refused.code, str(refused)) from None
        except SecretMissing as missing:
            raise self._intake.unprovable(request.account or "", missing) from None
        self._intake.check_caller(caller, account.trusted_postback_cidrs)
        self._intake.check_rate(account)
        return account


def _has_macro(query: str) -> bool:
    """Whether the click id in a query is an unfilled macro."""
    return any(name == CLICK_ID and value and is_unfilled(value) for name, value in parse_qsl(query))


def _read(network: Network, request: Incoming, body: bytes) -> tuple[Parameters, Refused | None]:
    """Return the parameters of a request, and a problem if they are unusable."""
    query, content_type = request.query, request.headers.get("content-type")
    try:
        parameters = read_parameters(request.method, query, content_type, body)
        network.click_id(parameters)
    except BadItem as bad:
        return parameters, Refused(400, bad.reason, f"{bad}.")
    except Unreadable as unreadable:
        # The query may still name an account, and that account requires its proof.
        return query_parameters(query), Refused(400, unreadable.reason, f"{unreadable}.")
    return parameters, None
