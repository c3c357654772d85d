"""The current settings of all accounts: their record types, keys, and lookups. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from accounts.lists import Lists
from accounts.pauses import paused
from schemas.records import AccountConfig, EndpointConfig, EndpointPause, ListConfig

Config = AccountConfig | ListConfig | EndpointConfig

TOPIC_OF: Mapping[type[Config], str] = {
    AccountConfig: "config_accounts",
    ListConfig: "config_lists",
    EndpointConfig: "config_endpoints",
}
CONFIG_TOPICS = tuple(TOPIC_OF.values())
KINDS = (AccountConfig, ListConfig, EndpointConfig, EndpointPause)


def config_key(config: Config) -> str:
    """Return a setting's key in its topic: `account`, `account/number`, or `account/endpoint`."""
    match config:
        case AccountConfig():
            return config.id
        case ListConfig():
            return f"{config.account}/{config.number}"
        case EndpointConfig():
            return f"{config.account}/{config.id}"


def described(config: Config) -> tuple[str, str]:
    """Return a setting's account, and a description for people: `list +18005551234`."""
    match config:
        case AccountConfig():
            return config.id, f"account {config.id}"
        case ListConfig():
            return config.account, f"list {config.number}"
        case EndpointConfig():
            return config.account, f"endpoint {config.id}"


class Accounts:
    """The current settings: plain lookups, no I/O."""

    def __init__(self) -> None:
        self.accounts: dict[str, AccountConfig] = {}
        self.lists: dict[str, dict[str, ListConfig]] = {}
        self.endpoints: dict[str, EndpointConfig] = {}
        self._endpoints_of: dict[str, tuple[EndpointConfig, ...]] = {}
        self._known_lists: dict[str, Lists] = {}

    def put(self, config: Config | EndpointPause) -> None:
        """Add or replace a setting, or pause an endpoint."""
        match config:
            case AccountConfig():
                self.accounts[config.id] = config
            case ListConfig():
                self.lists.setdefault(config.account, {})[config.number] = config
                self._known_lists.pop(config.account, None)
            case EndpointConfig():
                self.endpoints[config_key(config)] = config
                self._endpoints_of.clear()
            case EndpointPause():
                changed = paused(self.endpoints.get(f"{config.account}/{config.endpoint}"), config)
                if changed is not None:
                    self.put(changed)

    def drop(self, topic: str, key: str) -> None:
        """Delete a setting by its topic's short name and its key."""
        account, _, name = key.partition("/")
        match topic:
            case "config_accounts":
                self.accounts.pop(key, None)
            case "config_lists":
                self.lists.get(account, {}).pop(name, None)
                self._known_lists.pop(account, None)
            case "config_endpoints":
                self.endpoints.pop(key, None)
                self._endpoints_of.clear()

    def unreadable(self, topic: str, key: str) -> None:
        """Keep the value read before."""

    def stored(self, config: Config) -> Config | None:
        """Return the stored setting with the same key, or None."""
        match config:
            case AccountConfig():
                return self.accounts.get(config.id)
            case ListConfig():
                return self.lists_of(config.account).get(config.number)
            case EndpointConfig():
                return self.endpoints.get(config_key(config))

    def lists_of(self, account: str) -> dict[str, ListConfig]:
        """Return an account's lists by number."""
        return self.lists.get(account, {})

    def known_lists(self, account: str) -> Lists:
        """Return an account's lists with their sender addresses."""
        found = self._known_lists.get(account)
        if found is None:
            found = self._known_lists[account] = Lists.of(self.lists_of(account))
        return found

    def endpoints_of(self, account: str) -> tuple[EndpointConfig, ...]:
        """Return an account's endpoints."""
        found = self._endpoints_of.get(account)
        if found is None:
            found = tuple(e for e in self.endpoints.values() if e.account == account)
            self._endpoints_of[account] = found
        return found


def all_configs(view: Accounts) -> Iterator[Config]:
    """Return all settings: accounts, then lists, then endpoints."""
    yield from view.accounts.values()
    for lists in view.lists.values():
        yield from lists.values()
    yield from view.endpoints.values()
