"""One provider, one file; one affiliate network, one file. Every file here with a PROVIDER or NETWORK is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules

from providers.base import Provider
from providers.networks import Network

_MODULES = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]

PROVIDERS: Mapping[str, Provider] = {
    module.PROVIDER.name: module.PROVIDER for module in _MODULES if hasattr(module, "PROVIDER")
}
"""Providers by the name in their callback URL."""

NETWORKS: Mapping[str, Network] = {
    module.NETWORK.name: module.NETWORK for module in _MODULES if hasattr(module, "NETWORK")
}
"""Affiliate networks by the name in their postback URL."""
