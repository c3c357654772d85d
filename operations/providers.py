"""Provider setup for a customer: the URL to paste, the proof of callbacks, the progress so far. No I/O."""

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
"""Milliseconds without callbacks after which a working provider counts as silent."""

State = Literal["never seen", "failing", "unverified", "silent", "verified"]

STATES: Mapping[State, str] = {
    "never seen": "No callback has arrived.",
    "failing": "The last callback was refused or could not be understood.",
    "unverified": "Callbacks arrive, but none has been understood yet.",
    "silent": "Callbacks were understood, but none has arrived for a day.",
    "verified": "Callbacks arrive and are understood.",
}
"""Explanation of each state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderActivity:
    """A provider's activity for an account. Times are in milliseconds; None: never.

    `understood_until` is the end of the newest hour with an event from one of its callbacks.
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
    """An account setting that proves callbacks; never its value."""

    name: str
    is_set: bool


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One of the three steps of setting up a provider. `hint` says how to do it."""

    title: str
    is_done: bool
    hint: str


@dataclass(frozen=True, slots=True)
class Setup:
    """The setup of an account's provider or network.

    `url` is what to paste there, with HIDDEN for secrets; `methods` are the HTTP methods it may use.
    """

    provider: str
    kind: Literal["provider", "network"]
    methods: tuple[str, ...]
    url: str
    proofs: tuple[Proof, ...]
    steps: tuple[SetupStep, SetupStep, SetupStep]
    state: State
    seen: ProviderActivity


def setups(config: AccountConfig, public_url: str, seen: Mapping[str, ProviderActivity], now: int) -> list[Setup]:
    """Return the setup of every provider and network for an account. `seen` is by provider, `now` in ms."""
    return [
        setup_of(name, config, public_url, seen.get(name, ProviderActivity()), now)
        for name in (*sorted(PROVIDERS), *sorted(NETWORKS))
    ]


def setup_of(name: str, config: AccountConfig, public_url: str, seen: ProviderActivity, now: int) -> Setup:
    """Return the setup of one provider or network for an account. Raises KeyError for an unknown name."""
    proofs = tuple(Proof(each, each in stored_for(config, name)) for each in _credentials(name))
    has_called = seen.last_taken_at is not None or seen.last_refused_at is not None
    state = state_of(seen, now)
    steps = (
        SetupStep("Enter credentials", _is_proven(name, config, proofs, seen), _credentials_hint(name)),
        SetupStep(
            "Paste the URL", has_called, f"Give this URL to {name}; this step is done once a callback has arrived."
        ),
        SetupStep("Receive one callback", state in ("verified", "silent"), STATES[state]),
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
    """Return a provider's state, judging by its activity."""
    if seen.last_taken_at is None and seen.last_refused_at is None:
        return "never seen"
    if (seen.last_refused_at or 0) > (seen.last_taken_at or 0):
        return "failing"
    # Events have the provider's times, which may be long ago, so a callback stored after a rejection counts as progress
    # too.
    if (seen.last_rejected_at or 0) > max(seen.understood_until or 0, seen.last_taken_at or 0):
        return "failing"
    if seen.understood_until is None:
        return "unverified"
    return "silent" if now - (seen.last_taken_at or 0) > SILENT_AFTER_MS else "verified"


def url_of(name: str, config: AccountConfig, public_url: str, secrets: Mapping[str, str] | None = None) -> str:
    """Return the URL to paste at a provider. Its secrets are HIDDEN, unless `secrets` has them by name, decrypted.

    The deployment's secret, used if the account has no path secret, is always hidden. Raises KeyError for an unknown
    name.
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


def _is_proven(name: str, config: AccountConfig, proofs: tuple[Proof, ...], seen: ProviderActivity) -> bool:
    if _stands_behind_path(name):
        # Whether the installation has a secret for the path, only ingest knows: a callback that it accepted says so.
        return PATH_SECRET in stored_for(config, name) or seen.last_taken_at is not None
    return _proves(name, config, proofs)


def _proves(name: str, config: AccountConfig, proofs: tuple[Proof, ...]) -> bool:
    return any(proof.is_set for proof in proofs) and not halves(stored_for(config, name))


def _credentials_hint(name: str) -> str:
    names = _credentials(name)
    if _stands_behind_path(name):
        text = f"Set {PATH_SECRET}, or ask whoever runs this installation for its secret."
        others = [each for each in names if each != PATH_SECRET]
        return text + (f" Also needed: {', '.join(others)}." if others else "")
    pairs = [" and ".join(pair) for pair in PAIRS if set(pair) <= set(names)]
    together = f" {', '.join(pairs)} belong together." if pairs else ""
    return f"Set any of: {', '.join(names)}. A callback must match all that are set.{together}"
