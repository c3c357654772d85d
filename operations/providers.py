"""How a customer's provider is set up: the URL to paste, what proves its callbacks, how far the setup is. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from operations.credentials import PAIRS, halves, stored_for
from operations.samples import SOURCES
from providers import NETWORKS, PROVIDERS
from providers.networks import ACCOUNT, METHODS, TOKEN
from providers.proof import PATH_SECRET, URL_SECRET
from schemas.records import AccountConfig

HIDDEN = "…"
"""Stands for a secret in a URL."""

SILENT_AFTER_MS = 24 * 3_600_000
"""A provider that was verified and has not called for so long is silent."""

State = Literal["never seen", "failing", "unverified", "silent", "verified"]

STATES: Mapping[State, str] = {
    "never seen": "No callback has come.",
    "failing": "The last callback was refused or could not be understood.",
    "unverified": "Callbacks come, and none has been understood yet.",
    "silent": "Callbacks came and were understood; none has come for a day.",
    "verified": "Callbacks come and are understood.",
}
"""What each state says to people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderActivity:
    """What a provider was seen to do for an account. Times are milliseconds; None: never.

    `understood_until` is the end of the newest hour in which an event came of a callback of its.
    """

    taken: int = 0
    refused: int = 0
    last_taken_at: int | None = None
    last_refused_at: int | None = None
    last_refusal: str | None = None
    understood: int = 0
    understood_until: int | None = None
    last_rejected_at: int | None = None
    last_rejection: str | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """A setting of the account that proves callbacks; never its value."""

    name: str
    is_set: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One of the three steps of setting a provider up. `hint` says how it is done."""

    title: str
    is_done: bool
    hint: str


@dataclass(frozen=True, slots=True)
class Setup:
    """How an account's provider or network is set up.

    `url` is what to paste there, with HIDDEN for secrets; `methods` are those that it may call with.
    """

    provider: str
    kind: Literal["provider", "network"]
    methods: tuple[str, ...]
    url: str
    proofs: tuple[Proof, ...]
    steps: tuple[Step, Step, Step]
    state: State
    seen: ProviderActivity


def setups(config: AccountConfig, public_url: str, seen: Mapping[str, ProviderActivity], now: int) -> list[Setup]:
    """Every provider and network for an account. `seen` is by provider, `now` in ms."""
    return [
        setup_of(name, config, public_url, seen.get(name, ProviderActivity()), now)
        for name in (*sorted(PROVIDERS), *sorted(NETWORKS))
    ]


def setup_of(name: str, config: AccountConfig, public_url: str, seen: ProviderActivity, now: int) -> Setup:
    """One provider or network for an account. Raises KeyError for a name that is none."""
    proofs = tuple(Proof(each, each in stored_for(config, name)) for each in _credentials(name))
    has_called = seen.last_taken_at is not None or seen.last_refused_at is not None
    state = state_of(seen, now)
    steps = (
        Step("Enter credentials", _stands_behind_path(name) or _proves(name, config, proofs), _credentials_hint(name)),
        Step("Paste the URL", has_called, f"Give this URL to {name}; this is done once a callback has come."),
        Step("Receive one callback", state in ("verified", "silent"), STATES[state]),
    )
    return Setup(
        name,
        "network" if name in NETWORKS else "provider",
        tuple(sorted(METHODS if name in NETWORKS else PROVIDERS[name].methods)),
        url_of(name, config, public_url),
        proofs,
        steps,
        state,
        seen,
    )


def state_of(seen: ProviderActivity, now: int) -> State:
    """How a provider does, from what it was seen to do."""
    if seen.last_taken_at is None and seen.last_refused_at is None:
        return "never seen"
    if (seen.last_refused_at or 0) > (seen.last_taken_at or 0):
        return "failing"
    # Events have the provider's times, which may be long ago: what was taken after a rejection speaks for it too.
    if (seen.last_rejected_at or 0) > max(seen.understood_until or 0, seen.last_taken_at or 0):
        return "failing"
    if seen.understood_until is None:
        return "unverified"
    return "silent" if now - (seen.last_taken_at or 0) > SILENT_AFTER_MS else "verified"


def url_of(name: str, config: AccountConfig, public_url: str, secrets: Mapping[str, str] | None = None) -> str:
    """What to paste at a provider. Secrets in it are HIDDEN, unless `secrets` has them by their name, decrypted.

    The deployment's secret, in the path of an account that has none of its own, is always hidden. Raises KeyError for
    an unknown name.
    """
    url = public_url.rstrip("/") + SOURCES[name].path
    if _stands_behind_path(name):
        own = (secrets or {}).get(PATH_SECRET)
        url += "/" + (HIDDEN if own is None else quote(own, safe=""))
    url += f"?{ACCOUNT}={quote(config.id, safe='')}"
    secret = TOKEN if name in NETWORKS else URL_SECRET
    if secret in stored_for(config, name) and _stands_in_url(name):
        given = (secrets or {}).get(secret)
        url += f"&{secret}=" + (HIDDEN if given is None else quote(given, safe=""))
    return url + (f"&click_id={HIDDEN}&payout={HIDDEN}" if name in NETWORKS else "")


def _credentials(name: str) -> tuple[str, ...]:
    return (TOKEN,) if name in NETWORKS else PROVIDERS[name].credentials


def _stands_in_url(name: str) -> bool:
    return name in NETWORKS or (URL_SECRET in PROVIDERS[name].credentials and not _stands_behind_path(name))


def _stands_behind_path(name: str) -> bool:
    return name not in NETWORKS and PROVIDERS[name].behind_path_secret


def _proves(name: str, config: AccountConfig, proofs: tuple[Proof, ...]) -> bool:
    return any(proof.is_set for proof in proofs) and not halves(stored_for(config, name))


def _credentials_hint(name: str) -> str:
    names = _credentials(name)
    if _stands_behind_path(name):
        text = f"The secret in the path is this installation's, unless {PATH_SECRET} gives the account one of its own."
        others = [each for each in names if each != PATH_SECRET]
        return text + (f" Beside it: {', '.join(others)}." if others else "")
    pairs = [" and ".join(pair) for pair in PAIRS if set(pair) <= set(names)]
    together = f" {', '.join(pairs)} go together." if pairs else ""
    return f"Any of: {', '.join(names)}. All that are set must be right.{together}"
