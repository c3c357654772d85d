"""`/api/postbacks/{network}`: conversions that affiliate networks post.

Whose postback it is, the path says (`/api/postbacks/{network}/{account}`), or `account`, or the token. Where none of
them does, it is left to the click: the clicks stage knows who registered it, and what that account asks of callers.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from accounts.secrets import SecretMissing
from accounts.store import AccountsReader
from ingest.errors import Refused, not_found
from ingest.intake import Intake, headers_of, query_of
from ingest.redaction import storable_body
from ingest.tokens import PostbackTokens
from providers import NETWORKS
from providers.base import NotAuthentic, Unreadable
from providers.fields import BadItem
from providers.networks import (
    ACCOUNT,
    METHODS,
    TOKEN,
    Network,
    Parameters,
    query_parameters,
    read_parameters,
)
from schemas.records import AccountConfig

MAX_BODY_BYTES = 64 << 10
"""A network sends some hundred bytes, as a rule none of them in the body."""

LEFT_TO_THE_CLICK = ""
"""In place of an account."""


class Postbacks:
    """The networks' route."""

    def __init__(self, intake: Intake, reader: AccountsReader) -> None:
        self._intake = intake
        self._tokens = PostbackTokens(reader)

    async def take(self, name: str, request: Request) -> Response:
        """Store a postback, then answer `OK`.

        One without a click is stored too, and answered 400: whoever tests a template must see what is wrong with it.
        """
        network = NETWORKS.get(name)
        if network is None:
            raise not_found()
        if request.method not in METHODS:
            allow = ", ".join(sorted(METHODS))
            raise Refused(405, "method_not_allowed", f"Postbacks come as {allow}.", {"Allow": allow})
        async with self._intake.body(request, MAX_BODY_BYTES) as body:
            parameters, problem = _read(network, request, body)
            caller = self._intake.caller(request)
            account = await self._account(request, parameters, caller)
            await self._intake.store(
                request,
                provider=name,
                account=LEFT_TO_THE_CLICK if account is None else account.id,
                path=request.scope["path"],
                body=storable_body(body),
                caller=caller,
                credentials={},
            )
        if problem is not None:
            raise problem
        return Response(b"OK", media_type="text/plain")

    async def _account(self, request: Request, parameters: Parameters, caller: str) -> AccountConfig | None:
        """The account that is named or whose token it is, once the postback has proved itself; None: no account is."""
        named = [value for name, value in parameters if name == ACCOUNT]
        named += [request.path_params[ACCOUNT]] if ACCOUNT in request.path_params else []
        tokens = {value for name, value in parameters if name == TOKEN}
        if not named and not tokens:
            return None
        try:
            if len(tokens) > 1:
                raise NotAuthentic("wrong_token", "there are two tokens")
            token = next(iter(tokens), None)
            account = self._intake.account(sorted(set(named)) or [await self._tokens.owner(token or "")])
            setattr(request.state, ACCOUNT, account.id)
            await self._tokens.check(account, token)
        except NotAuthentic as refused:
            raise Refused(403, refused.code, str(refused)) from None
        except SecretMissing as missing:
            raise Refused(503, "credentials_unavailable", f"The account's token: {missing}.",
                          {"Retry-After": "60"}) from None  # fmt: skip
        self._intake.check_caller(caller, account.trusted_postback_cidrs)
        self._intake.check_rate(account)
        return account


def _read(network: Network, request: Request, body: bytes) -> tuple[Parameters, Refused | None]:
    """The parameters of a request, and why nothing can come of it, if nothing can."""
    query, content_type = query_of(request), headers_of(request).get("content-type")
    try:
        parameters = read_parameters(request.method, query, content_type, body)
        network.click_id(parameters)
    except BadItem as bad:
        return parameters, Refused(400, bad.reason, f"{bad}.")
    except Unreadable as unreadable:
        # The query may name an account all the same, which wants its proof.
        return query_parameters(query), Refused(400, unreadable.reason, f"{unreadable}.")
    return parameters, None
