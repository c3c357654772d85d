"""One provider, one file. `PROVIDERS` is the list of those that trackly understands."""

from __future__ import annotations

from collections.abc import Mapping

from providers.base import Provider
from providers.cm import Cm
from providers.eztexting import EzTexting
from providers.infobip import Infobip
from providers.lime import Lime
from providers.twilio import Twilio

PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider for provider in (Cm(), EzTexting(), Infobip(), Lime(), Twilio())
}
"""Providers by the name that stands in their callback URL."""
