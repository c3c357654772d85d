"""Accounts as code: what the person who applies a file should know before it takes effect, one sentence each. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from accounts.lists import address_key, addresses_of
from accounts.model import Accounts, Config, config_key
from operations.as_code.file import Entry
from schemas.records import AccountConfig, EndpointConfig, ListConfig

_REQUIRED_WORDS = frozenset({"STOP", "STOPALL", "QUIT", "END", "REVOKE", "OPTOUT", "CANCEL", "UNSUBSCRIBE"})
"""Replies that must revoke consent: 47 CFR 64.1200(a)(10), and STOPALL of the carriers."""


def file_notes(entries: Collection[Entry]) -> Iterator[str]:
    """Return what the file's own settings mean: opt-outs that no longer remove, URLs without encryption."""
    allowing = {e.config.id for e in entries if isinstance(e.config, AccountConfig) and e.config.allow_http}
    for entry in entries:
        if isinstance(entry.config, AccountConfig):
            if "keywords" in entry.config.opt_out_off:
                yield f"{entry.path}.opt_out.off: without keywords, a reply STOP removes nobody"
            never = {"".join(filter(str.isalnum, word)).upper() for word in entry.config.opt_out_words.get("never", ())}
            for word in sorted(never & _REQUIRED_WORDS):
                yield f"{entry.path}.opt_out.never: a reply {word} removes nobody, but carriers and the law require it"
        if isinstance(entry.config, EndpointConfig) and entry.config.url.startswith("http:"):
            is_allowed = entry.config.account in allowing
            needed = "" if is_allowed else "; it needs allow_http, or TRACKLY_ALLOW_HTTP of sinks"
            yield f"{entry.path}.url: http is not encrypted{needed}"


def pause_notes(configs: Iterable[Config]) -> Iterator[str]:
    """Return which endpoints stay paused."""
    for config in configs:
        if isinstance(config, EndpointConfig) and config.paused_reason is not None:
            key = config_key(config)
            yield f"endpoint {key} stays paused ({config.paused_reason}); to resume it: trackly endpoints resume {key}"


def move_notes(entries: Iterable[Entry], view: Accounts, going: Collection[tuple[str, str]]) -> Iterator[str]:
    """Return which addresses move from another list, without its opt-outs. `going` are deleted settings, by kind and
    key."""
    for entry in entries:
        config = entry.config
        if not isinstance(config, ListConfig):
            continue
        others = [each for each in view.lists_of(config.account).values() if each.number != config.number]
        owners = {
            address_key(address): each.number
            for each in others
            if ("list", config_key(each)) not in going
            for address in addresses_of(each)
        }
        for address in addresses_of(config):
            if owner := owners.get(address_key(address)):
                yield (
                    f'{entry.path}: "{address}" moves here from list {owner}, and its opt-outs do not: list '
                    f"{config.number} may text those who opted out of {owner}, even from that address. Export them, "
                    f"and import them into list {config.number}"
                )


def deletion_notes(configs: Iterable[Config]) -> Iterator[str]:
    """Return which lists go with their opt-outs."""
    for config in configs:
        if isinstance(config, ListConfig):
            yield (
                f"list {config.number} of account {config.account} goes with its opt-outs: other lists may text those "
                "who opted out of it, even one that takes over its number. Export them first, and import them there"
            )
