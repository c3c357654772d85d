"""Changes to endpoints, shared by the API and the pages. Each is in the audit log before it is answered."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from accounts.secrets import SecretMissing, keyring
from accounts.urls import POLL
from bus.clock import now_ms
from console.changes.acts import Act
from console.changes.keys import revoke_keys_of
from console.changes.settings import check_version, refuse_references, write_setting
from console.errors import conflict, not_found, validation_failed
from console.parts import Parts
from console.signin.customers import revoke
from operations.as_code.plan import PlanError, new_secret, plan_endpoint
from operations.endpoints import ChangeRefused, UnderWay, rotated
from operations.trials import Trial, send_trial, trial_event
from outbound.redaction import without_query
from schemas.records import EndpointConfig

NEW = "new"
"""The path of the page that creates an endpoint; an endpoint of this name could not be opened."""

MOST_OVERLAP_HOURS = 24 * 30
"""How long two secrets may sign side by side."""

SECRET_FIELDS = ("secret", "secret_next", "headers")


def endpoint_named(parts: Parts, account: str, endpoint: str) -> EndpointConfig:
    """Return an endpoint of an account. Raises ApiError 404."""
    found = parts.accounts.endpoints.get(f"{account}/{endpoint}")
    if found is None:
        raise not_found(f"There is no endpoint {endpoint!r} in this account.")
    return found


async def put(
    act: Act,
    account: str,
    values: dict[str, Any],
    *,
    is_new: bool,
    version: str | None = None,
) -> tuple[EndpointConfig, str | None]:
    """Create or change an endpoint; returns it and, once, its generated secret.

    `values` are by settings file key; `version` is that of the settings the caller has seen. Raises ApiError: 409 if a
    new one exists already, 412 if the settings have changed, 422 with every mistake by field, 503.
    """
    headers = {f"headers.{name}": value for name, value in values.get("headers", {}).items()}
    refuse_references({"secret": values.get("secret"), **headers})
    async with act.parts.changing[account]:
        key = f"{account}/{values.get('id', '')}"
        before = act.parts.accounts.endpoints.get(key)
        if is_new and values.get("id") == NEW:
            raise conflict(f"{NEW!r} cannot be the name of an endpoint: it is the path of the page that creates one.")
        if is_new and before is not None:
            raise conflict(f"Endpoint {values['id']!r} already exists.")
        check_version(before, version)
        try:
            most = act.parts.settings.max_endpoints
            plan = plan_endpoint(values, account, act.parts.accounts, keys=keyring(), most_endpoints=most)
        except (PlanError, SecretMissing) as error:
            raise validation_failed(str(error).split("\n")) from None
        (change,) = plan.changes
        assert isinstance(change.config, EndpointConfig)
        await _check_address(act.parts, change.config)
        if change.action != "unchanged":
            action = "endpoint.create" if before is None else "endpoint.change"
            await _write(act, action, before, change.config)
        return change.config, plan.new_secrets.get(key)


async def change(
    act: Act,
    endpoint: EndpointConfig,
    action: str,
    changed: Callable[[EndpointConfig], EndpointConfig],
) -> EndpointConfig:
    """Change an endpoint's current settings by a rule of `operations.endpoints`.

    Raises ApiError: 404 if it is gone, 409 with the rule's message, 412, 503.
    """
    async with act.parts.changing[endpoint.account]:
        before = endpoint_named(act.parts, endpoint.account, endpoint.id)
        try:
            after = changed(before)
        except UnderWay as under_way:
            raise conflict(f"{under_way} Replace its new secret (in the API with `again`), or end it first.") from None
        except ChangeRefused as refused:
            raise conflict(str(refused)) from None
        if after != before:
            await _write(act, action, before, after)
        return after


async def rotate(act: Act, endpoint: EndpointConfig, overlap_hours: int, again: bool) -> tuple[EndpointConfig, str]:
    """Give an endpoint a new secret, and show it once. Raises ApiError: 409 like `change`, 422, 503."""
    if not 0 <= overlap_hours <= MOST_OVERLAP_HOURS:
        raise validation_failed([f"overlap_hours: must be between 0 and {MOST_OVERLAP_HOURS}"])
    secret = new_secret()
    overlap = overlap_hours * 3_600_000
    changed = partial(rotated, secret=keyring().seal(secret), overlap=overlap, now=now_ms(), again=again)
    return await change(act, endpoint, "endpoint.rotate", changed), secret


async def delete(act: Act, endpoint: EndpointConfig) -> None:
    """Delete an endpoint. Raises ApiError: 404 if it is gone, 412, 503."""
    async with act.parts.changing[endpoint.account]:
        before = endpoint_named(act.parts, endpoint.account, endpoint.id)
        await _write(act, "endpoint.delete", before, None)
    # Another endpoint may get the name, and another customer.
    await act.parts.writes(revoke, endpoint.account, endpoint.id)
    await revoke_keys_of(act, endpoint.account, endpoint.id)


async def try_endpoint(act: Act, endpoint: EndpointConfig, event: str) -> Trial:
    """Send a signed test from the console, and wait for the answer. Raises ApiError 422 for an unknown event."""
    try:
        sent = trial_event(event, endpoint.account, now_ms())
    except KeyError:
        raise validation_failed([f"event: {event!r} is not a known event"]) from None
    if endpoint.url == POLL:
        raise conflict("Nothing is sent to this endpoint: its receiver polls for its events.")
    account = act.parts.accounts.accounts[endpoint.account]
    try:
        trial = await send_trial(endpoint, sent, act.parts.settings, account.allow_http)
    except SecretMissing as missing:
        raise conflict(str(missing)) from None
    await act.audit(
        "endpoint.test",
        f"endpoint {endpoint.id}",
        accounts=[endpoint.account],
        event=event,
        result=trial.outcome.label,
    )
    return trial


async def _check_address(parts: Parts, endpoint: EndpointConfig) -> None:
    if endpoint.url == POLL:
        return
    allow_http = parts.settings.allow_http or parts.accounts.accounts[endpoint.account].allow_http
    refusal = await parts.refusal_of(endpoint.url, allow_http)
    if refusal is not None:
        raise validation_failed([f"url: webhooks may not be sent there: {refusal}"])


async def _write(
    act: Act,
    action: str,
    before: EndpointConfig | None,
    after: EndpointConfig | None,
) -> None:
    await write_setting(act, action, before, after, _differences(before, after))


def _differences(before: EndpointConfig | None, after: EndpointConfig | None) -> dict[str, Any]:
    """Return the changed fields for an audit entry, before and after, without secrets."""
    told: dict[str, Any] = {}
    for name in EndpointConfig.__struct_fields__:
        old, new = getattr(before, name, None), getattr(after, name, None)
        if old == new or name in ("account", "id"):
            continue
        if name in SECRET_FIELDS:
            told[name] = "changed"
        elif name == "url":
            told[name] = [old and without_query(old), new and without_query(new)]
        else:
            told[name] = [old, new]
    return told
