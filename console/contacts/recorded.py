"""States of contacts in the console's copy of `sms.contacts`, whatever name a contact is recorded under.

A number may be recorded under several spellings, under a channel's id for the same person, and, once it is erased,
under its pseudonym. All of them count: a removal under any is a removal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from accounts.suppression import WHOLE_ACCOUNT, effective_state, strictest, unrecorded
from bus.reading.replica import Replica
from schemas.codec import Codec, CodecError
from schemas.ids import contact_key
from schemas.numbering import one_spelling, spellings, user_id_of
from schemas.pseudonyms import PREFIX, Pseudonyms
from schemas.records import ContactState

_ERASED = b":" + PREFIX.encode()


class RecordedContacts:
    """Lookups in the copy. `pseudonyms`: None without a key; then erased numbers cannot be found."""

    def __init__(self, codec: Codec, replica: Replica, pseudonyms: Pseudonyms | None) -> None:
        self._codec = codec
        self._replica = replica
        self._pseudonyms = pseudonyms
        self._has_erased = False
        self._mixed: set[bytes] = set()
        """Accounts some of whose contacts are recorded by something else than a number."""
        self._replica.on_key = self._note

    async def start(self) -> None:
        """Find out what kinds of names the copy holds. Call it before the copy is followed further."""
        await asyncio.to_thread(self._look)

    @property
    def is_blind(self) -> bool:
        """Whether removed contacts cannot be found, because they are stored under pseudonyms and there is no key."""
        return self._has_erased and self._pseudonyms is None

    def is_mixed(self, account: str) -> bool:
        """Whether contacts of an account are recorded by something else than a number: a channel's id, or the pseudonym
        of an erased one. What is known of a number may then come from another partition."""
        return account.encode() in self._mixed

    def contact(self, account: str, list_number: str, number: str) -> ContactState | None:
        """Return the record of a contact on a list itself, or of its number account-wide; None: there is none. Raises
        CodecError.

        A number erased after its removal is found under its pseudonym. A number's record also applies to a channel's id
        for the same person.
        """
        return self._recorded(account, list_number, number, self._spelled(account, number))

    def goes_by(self, account: str, number: str) -> str:
        """Return the number of a person known by a channel's id, if known; otherwise the argument.

        Raises CodecError.
        """
        if number.startswith("+") or user_id_of(number) is None:
            return number
        known = self._state(contact_key(account, WHOLE_ACCOUNT, number))
        return number if known is None or known.known_as is None else known.known_as

    def standing(self, account: str, list_number: str, number: str) -> ContactState | None:
        """Return whether a contact may be texted: the list's record combined with the account-wide one. Since 0: since
        the beginning. None: it may, and there is no record. Raises CodecError."""
        spelled = self._spelled(account, number)
        own = self._recorded(account, list_number, number, spelled)
        whole = self._recorded(account, WHOLE_ACCOUNT, number, spelled)
        if own is None and whole is None:
            return None
        return effective_state(own or unrecorded(account, list_number, number), whole)

    def finds_at_once(self, number: str) -> bool:
        """Whether `standings` can handle a number: it may only be recorded under its spellings."""
        return number.startswith("+") and not self._has_erased

    def standings(
        self, account: str, list_number: str, numbers: Sequence[str]
    ) -> list[ContactState | CodecError | None]:
        """Return `standing` of many numbers at once, in order; an exception it raises for one takes the place of the
        result."""
        alone = one_spelling()
        spelled = [(number,) if number[:5] in alone else spellings(number) for number in numbers]
        names = [name for each in spelled for name in each]
        own = self._states(f"{account}:{list_number}:", names)
        whole = self._states(f"{account}:{WHOLE_ACCOUNT}:", names)
        found: list[ContactState | CodecError | None] = []
        for number, each in zip(numbers, spelled, strict=True):
            if len(each) == 1:
                mine, every = next(own), next(whole)
            else:
                mine, every = _strictest(islice(own, len(each))), _strictest(islice(whole, len(each)))
            if mine is None and every is None:
                found.append(None)
            elif isinstance(mine, CodecError) or isinstance(every, CodecError):
                found.append(mine if isinstance(mine, CodecError) else every)
            else:
                found.append(effective_state(mine or unrecorded(account, list_number, number), every))
        return found

    def _spelled(self, account: str, number: str) -> tuple[str, ...]:
        """Return the names under which a number's subscriber may be recorded."""
        spelled = spellings(number)
        if number.startswith("+"):
            return spelled
        person = self.goes_by(account, number)
        return spelled if person == number else (*spelled, *spellings(person))

    def _recorded(self, account: str, list_number: str, number: str, spelled: tuple[str, ...]) -> ContactState | None:
        # Nearly every number has a single spelling.
        found = self._state(f"{account}:{list_number}:{spelled[0]}")
        erased: tuple[ContactState | None, ...] = ()
        if found is None and self._has_erased and self._pseudonyms is not None:
            # Whatever an older spelling says: an erasure does not reach it.
            pseudonyms = self._pseudonyms.every(account, number)
            erased = tuple(self._state(contact_key(account, list_number, each)) for each in pseudonyms)
        if len(spelled) > 1 or erased:
            others = (self._state(f"{account}:{list_number}:{each}") for each in spelled[1:])
            found = strictest((found, *others, *erased))
        return found

    def _state(self, name: str) -> ContactState | None:
        value = self._replica.get(name.encode())
        return None if value is None else self._codec.decode_as(ContactState, value)

    def _states(self, beginning: str, names: Sequence[str]) -> Iterator[ContactState | CodecError | None]:
        rows = self._replica.get_many([f"{beginning}{name}".encode() for name in names])
        return (None if row is None else self._state_or_error(row) for row in rows)

    def _state_or_error(self, row: bytes) -> ContactState | CodecError:
        try:
            return self._codec.decode_as(ContactState, row)
        except CodecError as error:
            return error

    def _look(self) -> None:
        for key in self._replica.every_key():
            self._note(key)

    def _note(self, key: bytes) -> None:
        self._has_erased = self._has_erased or _ERASED in key
        if not key.startswith(b"+", key.rfind(b":") + 1):
            self._mixed.add(key.partition(b":")[0])


def _strictest(found: Iterable[ContactState | CodecError | None]) -> ContactState | CodecError | None:
    """Combine the records under the spellings of one number; an unreadable one may be a removal."""
    states = list(found)
    error = next((each for each in states if isinstance(each, CodecError)), None)
    return error or strictest(each for each in states if not isinstance(each, CodecError))
