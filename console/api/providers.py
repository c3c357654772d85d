"""`GET /api/providers`: how each provider is set up, and its activity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import ConfigDict, RootModel

from bus.clock import now_ms
from console.access.callers import Administrator, Caller, TheCaller, TheParts
from console.changes.accounts import set_credentials
from console.changes.acts import Act
from console.errors import not_found
from console.http.fields import Item, Secret
from console.parts import Parts
from console.queries.providers import seen_of
from console.queries.rows import At
from operations.providers import Setup, setups
from providers import NETWORKS, PROVIDERS

router = APIRouter(tags=["Providers"])

Name = Annotated[str, Path(max_length=40, description="The provider or network.", examples=["infobip"])]


class Credentials(RootModel[dict[Item, Secret | None]]):
    """Credentials by name, as in a settings file."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"secret": "a long random text"}]}, strict=True)


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """One of the three steps to set up a provider."""

    title: str
    done: bool
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAnswer:
    """An account's provider or network. `url` shows `…` instead of secrets; `credentials`: whether each is set.

    `state`: never seen, failing, unverified, silent, or verified. `understood_24h`: events of the last 24 hours.
    """

    provider: str
    kind: str
    url: str
    methods: tuple[str, ...]
    credentials: dict[str, bool]
    steps: tuple[StepAnswer, ...]
    state: str
    taken: int
    refused: int
    last_taken_at: At | None
    last_refused_at: At | None
    last_refusal: str | None
    understood_24h: int
    last_rejected_at: At | None
    last_rejection: str | None


@dataclass(frozen=True, slots=True)
class ProvidersAnswer:
    """Every provider and network."""

    data: list[ProviderAnswer]


@router.get("/api/providers", summary="List providers")
async def list_providers(parts: TheParts, caller: TheCaller) -> ProvidersAnswer:
    """How each provider and network is set up for the account, and what it has been seen to do."""
    return ProvidersAnswer([_answer(setup) for setup in await setups_of(parts, caller)])


@router.get("/api/providers/{provider}", summary="Show a provider")
async def show_provider(provider: Name, parts: TheParts, caller: TheCaller) -> ProviderAnswer:
    """One provider or network."""
    check_source(provider)
    (found,) = (setup for setup in await setups_of(parts, caller) if setup.provider == provider)
    return _answer(found)


@router.put("/api/providers/{provider}/credentials", summary="Set a provider's credentials")
async def put_credentials(
    request: Request, provider: Name, body: Credentials, parts: TheParts, caller: Administrator
) -> ProviderAnswer:
    """Set the credentials that authenticate a provider's or network's callbacks; null removes one, and others stay.
    None is ever returned.
    """
    check_source(provider)
    await set_credentials(Act(request, parts, caller.principal), caller.account, provider, body.root)
    return await show_provider(provider, parts, caller)


def check_source(provider: str) -> None:
    """Raise ApiError 404 if it is neither a provider nor a network."""
    if provider not in PROVIDERS and provider not in NETWORKS:
        raise not_found(f"There is no provider {provider!r}; /api/providers lists them.")


async def setups_of(parts: Parts, caller: Caller) -> list[Setup]:
    """Return the setups of the caller's account."""
    config = parts.accounts.accounts[caller.account]
    seen = await parts.reads(seen_of, caller.account)
    return setups(config, parts.settings.callbacks_url, seen, now_ms())


def _answer(setup: Setup) -> ProviderAnswer:
    seen = setup.seen
    return ProviderAnswer(
        provider=setup.provider,
        kind=setup.kind,
        url=setup.url,
        methods=setup.methods,
        credentials={proof.name: proof.is_set for proof in setup.proofs},
        steps=tuple(StepAnswer(step.title, step.is_done, step.hint) for step in setup.steps),
        state=setup.state,
        taken=seen.taken,
        refused=seen.refused,
        last_taken_at=seen.last_taken_at,
        last_refused_at=seen.last_refused_at,
        last_refusal=seen.last_refusal,
        understood_24h=seen.understood,
        last_rejected_at=seen.last_rejected_at,
        last_rejection=seen.last_rejection,
    )
