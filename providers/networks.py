"""How affiliate networks' postbacks are read. A network's own file only maps the parameter names of its URL.

A postback is one request, usually a GET whose query is a template filled by the network. A parameter unknown to the
network stays as written, braces and all; it counts as absent, and so does an empty one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from providers.base import BEFORE_IT_IS_LOST, CallbackRequest, Item, Malformed, Unreadable
from providers.bodies import check_fields, decoded_body
from providers.bounds import within_bounds
from providers.fields import BadItem
from providers.money import NotMoney, read_currency, read_money
from providers.pasted import repaired
from providers.proof import with_parameter
from schemas.ids import derived_id
from schemas.records import Postback, RawCallback

METHODS = frozenset({"GET", "POST"})
"""A POST may put parameters in the query, in a form or JSON object, or in both query and body."""

ACCOUNT, TOKEN = "account", "token"
"""Parameters that name the postback's account and prove it. Ingest reads them."""

CLICK_ID = "click_id"

MAX_ID_LENGTH = 256
"""Maximum characters of a click id, an external id, or a goal. TUNE's and Everflow's own ids have about 32."""

MAX_BODY_BYTES = 64 << 10
"""Maximum bytes of a body. A network sends a few hundred, usually none in the body."""

MAX_BYTES = 8 << 10
"""Maximum bytes of all parameters together, including names. A postback that waits for its click is stored in a table
row."""

DEFAULT_TYPE = "conversion"

Parameters = list[tuple[str, str]]
"""Names and values as received, without absent ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One network. When several names map to one field, the first with a value counts.

    `types` are searched for a known word (`TYPES`). `goals` distinguish conversions of one click when the network's own
    id does not.
    """

    name: str
    payouts: tuple[str, ...]
    currencies: tuple[str, ...]
    types: tuple[str, ...]
    goals: tuple[str, ...]
    external_ids: tuple[str, ...]
    max_body_bytes: int = MAX_BODY_BYTES
    answer_within: float | None = BEFORE_IT_IS_LOST
    """As for a provider; neither network documents retries."""
    pauses_on_errors: bool = False
    """Whether the network stops posting after some errors, and also posts conversions of clicks that are not ours."""

    def prove(self, request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
        """Return the request with the account's token in its URL, if it has one."""
        return with_parameter(request, TOKEN, credentials.get(TOKEN))

    @within_bounds
    def read(self, callback: RawCallback) -> list[Item]:
        """Read a callback as one postback. Its account is None if only the click identifies it.

        Raises Unreadable if there are no parameters, or the body is neither a form nor a JSON object.
        """
        parameters = read_parameters(callback.method, callback.query, callback.content_type, callback.body)
        try:
            return [self._postback(callback, parameters)]
        except BadItem as bad:
            return [Malformed(bad.reason, str(bad), json.dumps(parameters, ensure_ascii=False))]

    def click_id(self, parameters: Parameters) -> str:
        """Return the click that converted. Raises BadItem: without a click, the postback is useless."""
        click_id = _first(parameters, (CLICK_ID,))
        if click_id is None:
            raise BadItem("missing_field", f"{CLICK_ID} is missing, empty, or an unfilled macro")
        return click_id

    def _postback(self, callback: RawCallback, parameters: Parameters) -> Postback:
        click_id = self.click_id(parameters)
        if sum(len(name.encode()) + len(value.encode()) for name, value in parameters) > MAX_BYTES:
            raise BadItem("too_long", f"the parameters are longer than {MAX_BYTES} bytes")
        payout, currency = self._payout(parameters)
        external_id = _first(parameters, self.external_ids)
        return Postback(
            event_id=derived_id(callback.event_id, 0),
            network=self.name,
            account=callback.account or None,
            click_id=click_id,
            type=self._type(parameters),
            payout=payout,
            currency=currency,
            # The network's own click id says nothing new when it was also given as ours.
            external_id=None if external_id == click_id else external_id,
            goal=_first(parameters, self.goals),
            parameters=_kept(parameters),
            remote_ip=callback.remote_ip or None,
            received_at=callback.received_at,
        )

    def _payout(self, parameters: Parameters) -> tuple[str | None, str | None]:
        """Return amount and currency. A sign shared by several currencies means the one named next to it."""
        name, text = _named(parameters, self.payouts)
        if text is None:
            return None, None
        try:
            money = read_money(text)
        except NotMoney:
            raise BadItem("invalid_amount", f"{name} is not an amount: {text[:40]!r}") from None
        given_as, given = _named(parameters, self.currencies)
        if given is None:
            return money.amount, next(iter(money.currencies), None)
        try:
            named = read_currency(given)
        except NotMoney:
            raise BadItem("invalid_currency", f"{given_as} is not a currency: {given[:40]!r}") from None
        both = [currency for currency in named if currency in (money.currencies or named)]
        if not both:
            raise BadItem("invalid_currency", f"{given_as} is {named[0]}, but {name} is {text[:40]!r}")
        return money.amount, both[0]

    def _type(self, parameters: Parameters) -> str:
        for name in self.types:
            word = _not_word.sub("_", (_first(parameters, (name,)) or "").lower()).strip("_")
            if word in _TYPE_OF_WORD:
                return _TYPE_OF_WORD[word]
        return DEFAULT_TYPE


TYPES: Mapping[str, tuple[str, ...]] = {
    "lead": ("lead",),
    "sale": ("sale", "purchase", "order"),
    "rebill": ("rebill", "rebilling", "recurring", "renewal", "subscription_renewal"),
    "refund": ("refund", "refunded"),
    "chargeback": ("chargeback", "charge_back"),
    "install": ("install", "installation", "app_install"),
    "signup": ("signup", "sign_up", "registration", "register"),
}
"""Conversion type -> words for it, in lower case with underscores. Any other word is DEFAULT_TYPE."""

_TYPE_OF_WORD = {word: name for name, words in TYPES.items() for word in words}
_not_word = re.compile(r"[^a-z0-9]+")
# %%X%%, %X%, [x], #s1#, __X__, <x>, $x$: macros of other trackers, and the words scripts write for missing values.
_foreign_macro = re.compile(
    r"%%\w[\w.-]{0,63}%%|%[A-Z_]\w{1,63}%|\[[A-Z_][\w .:|-]{0,63}\]|#[A-Z]\w{0,63}#|__[A-Z]\w{0,63}__"
    r"|<[A-Z_][\w .:|-]{0,63}>|\$[A-Z_]\w{0,63}\$|undefined|null",
    re.ASCII | re.IGNORECASE,
).fullmatch
# Braces encoded twice, by the author of the template and by the network, come out encoded once.
_macro = re.compile(r"(?:\{|%7b)[\w .:|-]{0,64}(?:\}|%7d)", re.ASCII | re.IGNORECASE).search


def read_parameters(method: str, query: str, content_type: str | None, body: bytes) -> Parameters:
    """Return all parameters of a request, the query's first. Raises Unreadable for an unsupported body."""
    in_body = _body_pairs(content_type, body) if method != "GET" and body.strip() else []
    if not query and not in_body:
        raise Unreadable("missing_field", f"{CLICK_ID} is missing, and so is every other parameter")
    return query_parameters(query) + _filled(in_body)


def query_parameters(query: str) -> Parameters:
    """Return the parameters of a query string."""
    return _filled(_form_pairs(repaired(query)))


def _filled(pairs: Parameters) -> Parameters:
    return [(name, value.strip()) for name, value in pairs if value.strip() and not is_unfilled(value)]


def is_unfilled(value: str) -> bool:
    """Whether a value is still a macro of any tracker, or a script's word for a missing value."""
    return bool(_macro(value) or _foreign_macro(value.strip()))


def _form_pairs(form: str, codec: str = "utf-8") -> Parameters:
    check_fields(form.count("&") + 1)
    return parse_qsl(form, keep_blank_values=True, encoding=codec, errors="replace")


def _body_pairs(content_type: str | None, body: bytes) -> Parameters:
    text, codec = decoded_body(body, content_type)
    if "json" in (content_type or "").lower() or text.lstrip()[:1] in ("{", "["):
        return _json_pairs(text)
    if "multipart" in (content_type or "").lower():
        raise Unreadable("not_supported", "the body is multipart; send a form (urlencoded) or JSON")
    return _form_pairs(repaired(text), codec)


def _json_pairs(text: str) -> Parameters:
    outermost: list[tuple[str, Any]] = []

    def remember(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        outermost[:] = pairs  # the outermost object ends last; a dict would hide duplicate names
        return dict(pairs)

    try:
        # Numbers stay as written: 2.50000 is not a float.
        value = json.loads(text, object_pairs_hook=remember, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise Unreadable("not_json", f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Unreadable("wrong_type", "the body is not an object with the parameters of a postback")
    check_fields(len(outermost))
    return [(_utf8(name), _utf8(_text(each))) for name, each in outermost]


def _text(value: Any) -> str:
    """Return a string unchanged, "" for null, JSON for anything else."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _utf8(text: str) -> str:
    # JSON may contain an unpaired surrogate, which UTF-8 cannot encode.
    return text.encode(errors="replace").decode()


def _first(parameters: Parameters, names: Iterable[str]) -> str | None:
    return _named(parameters, names)[1]


def _named(parameters: Parameters, names: Iterable[str]) -> tuple[str, str | None]:
    """Return the first of these names that has a value, and the value. Raises BadItem for two different values of a
    name."""
    for name in names:
        values = {value for each, value in parameters if each == name}
        if len(values) > 1:
            raise BadItem("ambiguous_field", f"{name} is given twice with different values")
        for value in values:
            if len(value) > MAX_ID_LENGTH:
                raise BadItem("too_long", f"{name} has more than {MAX_ID_LENGTH} characters")
            return name, value
    return "", None


def _kept(parameters: Parameters) -> dict[str, str]:
    """Return all parameters but the proof, by name. Repeated values are joined by commas."""
    values: dict[str, dict[str, None]] = {}
    for name, value in parameters:
        if name != TOKEN:
            values.setdefault(name, {})[value] = None
    return {name: ",".join(each) for name, each in values.items()}
