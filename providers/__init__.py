"""One provider, one file; one affiliate network, one file. Two lists say which trackly understands."""

from __future__ import annotations

from collections.abc import Mapping

from providers.base import Provider
from providers.cm import Cm
from providers.everflow import EVERFLOW
from providers.eztexting import EzTexting
from providers.infobip import Infobip
from providers.lime import Lime
from providers.networks import Network
from providers.tune import TUNE
from providers.twilio import Twilio

PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider for provider in (Cm(), EzTexting(), Infobip(), Lime(), Twilio())
}
"""Providers by the name that stands in their callback URL."""

NETWORKS: Mapping[str, Network] = {network.name: network for network in (EVERFLOW, TUNE)}
"""Affiliate networks by the name that stands in their postback URL."""
