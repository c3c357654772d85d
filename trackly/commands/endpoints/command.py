"""`trackly endpoints`: where webhooks go; pauses and the rotation of secrets."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from accounts.checks import check_endpoint_secret
from accounts.model import config_key
from accounts.secrets import REFERENCES, is_literal, keyring, redacted
from bus.clock import now_ms
from operations.as_code.plan import new_secret
from operations.endpoints import UnderWay, activated, paused, resumed, rotated, state_of
from outbound.signing import secrets_at
from schemas.records import EndpointConfig
from schemas.topics import parse_duration
from trackly.commands.endpoints.customers import customer_link, end_customer_links
from trackly.commands.endpoints.trials import Endpoint, list_attempts, try_endpoint
from trackly.commands.endpoints.waiting import count_waiting
from trackly.decoding import time_text
from trackly.errors import NO_KEY, Failed
from trackly.output import Json, json_line, parsed, say, show, table
from trackly.reading import account_named, current_accounts
from trackly.writing import change_endpoint

endpoints = typer.Typer(no_args_is_help=True, add_completion=False)

endpoints.command("test")(try_endpoint)
endpoints.command("attempts")(list_attempts)
endpoints.command("customer-link")(customer_link)
endpoints.command("end-customer-links")(end_customer_links)


@endpoints.callback()
def _endpoints() -> None:
    """Webhook endpoints."""


@endpoints.command("list")
def list_endpoints(
    account: Annotated[str | None, typer.Option(help="Only this account's endpoints.")] = None,
    as_json: Json = False,
) -> None:
    """List the endpoints: what each gets, and whether it is active, paused (why, since when), or disabled."""
    view = current_accounts()
    if account is not None:
        account_named(view, account)
    found = sorted(view.endpoints.values(), key=config_key)
    found = [endpoint for endpoint in found if account in (None, endpoint.account)]
    now = now_ms()
    if as_json:
        for each in found:
            json_line(_fields(each, now))
    elif found:
        table(
            ("account", "endpoint", "url", "events", "lists", "state"),
            ((e.account, e.id, e.url, ",".join(e.events), ",".join(e.lists) or "all", _state(e, now)) for e in found),
        )
    else:
        say("There are no endpoints.")


@endpoints.command("pause")
def pause(endpoint: Endpoint, as_json: Json = False) -> None:
    """Pause an endpoint: send nothing until it is resumed. Its webhooks wait."""

    _show(asyncio.run(change_endpoint("endpoint.pause", endpoint, lambda config: paused(config, now_ms()))), as_json)


@endpoints.command("resume")
def resume(endpoint: Endpoint, as_json: Json = False) -> None:
    """Resume a paused endpoint, whatever the reason, and show how many webhooks wait for it."""
    config = asyncio.run(change_endpoint("endpoint.resume", endpoint, resumed))
    waiting = asyncio.run(count_waiting(endpoint))
    _show(config, as_json, waiting=waiting)
    if not as_json:
        say(f"{waiting} webhooks wait for it; each is sent when its delay is over.")


@endpoints.command("rotate-secret")
def rotate_secret(
    endpoint: Endpoint,
    overlap: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the current secret keeps signing: 24h, 7d, 0s.")
    ] = "24h",
    secret: Annotated[
        str | None, typer.Option(metavar="env:NAME", help="env:NAME or file:PATH; by default one is generated.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Replace the new secret of a rotation in progress.")] = False,
    plain_secrets: Annotated[
        bool, typer.Option("--plain-secrets", help="Store it in plain text if there is no key.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Give an endpoint a new secret; a generated one is shown once.

    During the overlap, webhook-signature lists both signatures, and X-Trackly-Signature-Next carries the new one. After
    that, or with `activate-secret`, the new secret replaces the current one.
    """
    length = parsed(parse_duration, overlap, "--overlap")
    stated = secret or new_secret()
    if secret is not None:
        _check_reference(secret)
    stored = keyring().seal(stated)
    if is_literal(stored) and not plain_secrets:
        raise Failed(f"The new secret {NO_KEY}")

    def change(config: EndpointConfig) -> EndpointConfig:
        try:
            return rotated(config, stored, length, now_ms(), again=again)
        except UnderWay as error:
            raise Failed(
                f"{str(error).removesuffix('.')}: `trackly endpoints activate-secret {endpoint}` ends it, and --again "
                "replaces its new secret."
            ) from None

    config = asyncio.run(change_endpoint("endpoint.rotate", endpoint, change))
    if as_json:
        shown = {} if secret is not None else {"secret_new": stated}
        json_line(_fields(config, now_ms()) | shown)
        return
    if secret is None:
        show(f"new secret of {endpoint}: {stated}")
        say("Save it: it is not shown again.")
    if config.secret_next_at is None:
        say("From now on it signs everything.")
    else:
        say(f"Both secrets sign until {time_text(config.secret_next_at)}; then only the new one does.")
    say(
        "If a settings file contains the endpoint's secret, change it there too: `trackly apply` would restore the "
        "old one."
    )


@endpoints.command("activate-secret")
def activate_secret(endpoint: Endpoint, as_json: Json = False) -> None:
    """End a rotation now: from here on only the new secret signs."""
    _show(asyncio.run(change_endpoint("endpoint.activate", endpoint, activated)), as_json)
    if not as_json:
        say("Only the new secret signs now.")


def _fields(config: EndpointConfig, now: int) -> dict[str, Any]:
    _, following = secrets_at(config, now)
    return {
        "account": config.account,
        "id": config.id,
        "url": config.url,
        "secret": redacted(config.secret),
        "secret_next": None if following is None else redacted(following),
        "secret_next_at": None if following is None else time_text(config.secret_next_at or 0),
        "events": config.events,
        "lists": config.lists,
        "enabled": config.enabled,
        "state": state_of(config),
        "paused_reason": config.paused_reason,
        "paused_at": None if config.paused_at is None else time_text(config.paused_at),
    }


def _state(config: EndpointConfig, now: int) -> str:
    state = state_of(config)
    if state == "paused":
        state = f"paused ({config.paused_reason}) since {time_text(config.paused_at or 0)}"
    _, following = secrets_at(config, now)
    rotating = f", two secrets until {time_text(config.secret_next_at or 0)}" if following is not None else ""
    return state + rotating


def _show(config: EndpointConfig, as_json: bool, **more: Any) -> None:
    if as_json:
        json_line(_fields(config, now_ms()) | more)
    else:
        show(f"{config_key(config)}  {_state(config, now_ms())}")


def _check_reference(secret: str) -> None:
    if not secret.startswith(REFERENCES):
        # Every user of the machine can see command lines.
        raise typer.BadParameter("is not env:NAME or file:PATH; omit it to generate a secret", param_hint="--secret")
    parsed(check_endpoint_secret, secret, "--secret")
