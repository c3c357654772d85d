"""Who may be texted, by the records of `sms.contacts`; it needs nothing but Python.

Give `take` every record of the topic, from the beginning on, and ask `may_be_texted`, which answers as trackly's
`POST /api/contacts/check` does. It does not know of quiet hours, caps, and lost opt-outs (`trackly.losses`).
"""

import base64
import hmac


class Contacts:
    """What the topic says about each contact. `pseudonym_key` is trackly's TRACKLY_PSEUDONYM_KEY, if numbers were
    erased."""

    def __init__(self, pseudonym_key=None):
        self.states = {}
        self._versions = {}
        self._has_erased = False
        self._pseudonym_key = pseudonym_key

    def take(self, key, headers, state):
        """Note a record: its key and headers as bytes, and its decoded value or None."""
        key, version = key.decode(), int(dict(headers).get("version") or 0)
        # A worker that was cut off may write an older state after a newer one.
        if version < self._versions.get(key, 0):
            return
        self._versions[key] = version
        self._has_erased = self._has_erased or ":anon_" in key
        if state is None:
            self.states.pop(key, None)
        else:
            self.states[key] = state

    def may_be_texted(self, account, list_number, name):
        """Whether a list may text a contact: its number as docs/numbers.md spells it, or a channel's id of it."""
        person = self.states.get(f"{account}::{name}")
        names = [name]
        if not name.startswith("+") and person and person["known_as"]:
            names.append(person["known_as"])
        return all(
            state["active"] or list_number in state["except_lists"]
            for scope in (list_number, "")
            for state in self._states(account, scope, names)
        )

    def _states(self, account, scope, names):
        found = [self.states.get(f"{account}:{scope}:{name}") for name in names]
        # What was removed before it was erased is under the pseudonym, until the number comes back.
        if found[0] is None and self._has_erased:
            if self._pseudonym_key is None:
                raise ValueError("numbers were erased: without their pseudonyms, removed contacts would look active")
            found.append(self.states.get(f"{account}:{scope}:{pseudonym(self._pseudonym_key, account, names[0])}"))
        return [state for state in found if state is not None]


def pseudonym(pseudonym_key, account, number):
    """What stands in place of an erased number: 130 bits of an HMAC in base 32."""
    key = hmac.digest(pseudonym_key.encode(), f"trackly pseudonyms\x1f{account}".encode(), "sha256")
    digest = hmac.digest(key, number.encode(), "sha256")
    return "anon_" + base64.b32encode(digest).decode().lower()[:26]
