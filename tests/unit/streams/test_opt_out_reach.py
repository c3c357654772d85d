"""Where an opt-out applies, and whose START undoes it."""

from __future__ import annotations

import pytest

from accounts.lists import Belonging
from schemas.records import AccountConfig
from streams.rules.everywhere import EVERYWHERE, Reach, reach_of, receiver_of
from tests.unit.streams.contact_records import LIST, START_OF_DAY, inbound

CERTAIN = Belonging(LIST, LIST, True)
ONLY_LIST = Belonging(LIST, LIST, False)
"""Of an account with one list, which a message to somebody else may not have meant."""
NO_LIST = Belonging(None, None, False)

PLAIN = AccountConfig(id="acme", name="Acme")
OF_ACCOUNT = AccountConfig(id="acme", name="Acme", opt_out_scope="account", opt_out_scope_from=START_OF_DAY + 100_000)


@pytest.mark.parametrize(
    ("belongs", "account", "at", "reason", "reach"),
    [
        (CERTAIN, PLAIN, 0, "message", Reach(LIST)),
        (CERTAIN, None, 0, "message", Reach(LIST)),
        (ONLY_LIST, PLAIN, 0, "message", Reach(None, "acme_agent")),
        (NO_LIST, PLAIN, 0, "message", Reach(None, "acme_agent")),
        (CERTAIN, OF_ACCOUNT, 100_000, "message", Reach(None, EVERYWHERE)),
        (CERTAIN, OF_ACCOUNT, 100_000, "complaint", Reach(None, EVERYWHERE)),
        (CERTAIN, OF_ACCOUNT, 99_999, "message", Reach(LIST)),
        (CERTAIN, OF_ACCOUNT, 100_000, "deactivated", Reach(LIST)),
    ],
)
def test_it_is_the_list_if_that_is_certain_and_the_account_wants_no_more(
    belongs: Belonging, account: AccountConfig | None, at: int, reason: str, reach: Reach
) -> None:
    assert reach_of(inbound("STOP", at, to="acme_agent"), reason, belongs, account) == reach


@pytest.mark.parametrize("belongs", [CERTAIN, ONLY_LIST, NO_LIST])
def test_what_the_provider_calls_an_opt_out_of_everything_no_start_undoes(belongs: Belonging) -> None:
    assert reach_of(inbound("STOP ALL", scope="all"), "message", belongs, PLAIN) == Reach(None, EVERYWHERE)


@pytest.mark.parametrize(
    ("to", "list_number", "receiver"),
    [
        ("Acme_Agent", None, "acme_agent"),
        ("rcs:acme_agent", None, "acme_agent"),
        ("+18005551234", "1221", "1221"),
        (None, None, "twilio:"),
    ],
)
def test_a_receiver_is_named_alike_however_the_provider_writes_it(
    to: str | None, list_number: str | None, receiver: str
) -> None:
    assert receiver_of(inbound("STOP", to=to, list_number=list_number)) == receiver
