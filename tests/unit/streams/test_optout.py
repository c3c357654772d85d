"""How replies are read: the layers in order, what is never an opt-out, and an account's changes."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.checks import OPT_OUT_LAYERS, OPT_OUT_WORDS
from schemas.records import AccountConfig
from streams.optout import LAYERS, NEVER, OptOut, default_words, names_of, words_of
from streams.optout.text import MAX_CHARACTERS

WORDS = default_words()
TABLE = tomllib.loads(files("streams.optout").joinpath("words.toml").read_text("utf-8"))
KEYWORDS = [word for words in TABLE["opt_out"]["keywords"].values() for word in words]
OPT_IN = TABLE["opt_in"]["keywords"]["words"]
AROUND = st.text(" \t\n.,?-*'()_…🛑", max_size=5)


def account(**settings: object) -> AccountConfig:
    off = settings.pop("off", ())
    return AccountConfig(id="acme", name="Acme", opt_out_words=settings, opt_out_off=off)  # type: ignore[arg-type]


class TestKeyword:
    @pytest.mark.parametrize("keyword", KEYWORDS)
    def test_is_reported_in_the_spelling_of_the_list(self, keyword: str) -> None:
        assert WORDS.match(keyword) == OptOut(keyword, "keywords", "message")
        assert WORDS.match(keyword.lower()) == OptOut(keyword, "keywords", "message")
        assert not WORDS.is_opt_in(keyword)

    @pytest.mark.parametrize(
        ("text", "keyword"),
        [
            ("  stop \n", "STOP"),
            ("stop!!!", "STOP"),
            ("“Stop”", "STOP"),
            ("¡ALTO!", "ALTO"),
            ("stop_", "STOP"),
            ("STOP 🛑", "STOP"),
            ("\u200bSTOP\ufeff", "STOP"),
            ("Remove\nme.", "REMOVE ME"),
            ("remove, me", "REMOVE ME"),
            ("Opt out", "OPT OUT"),
            ("opt-out", "OPT-OUT"),
            ("Opt - out", "OPT OUT"),
            ("ARRÊT", "ARRET"),
            ("arre\u0302t", "ARRET"),
            ("Désabonner", "DESABONNER"),
            ("стоп.", "СТОП"),
            ("बंद करो!", "बंद करो"),
        ],
    )
    def test_counts_whatever_its_case_accents_and_punctuation(self, text: str, keyword: str) -> None:
        assert WORDS.match(text) == OptOut(keyword, "keywords")

    @given(st.sampled_from(KEYWORDS), AROUND, AROUND)
    def test_counts_with_anything_around_it_that_is_no_word(self, keyword: str, before: str, after: str) -> None:
        assert WORDS.match(before + keyword.title() + after) == OptOut(keyword, "keywords")

    @given(st.sampled_from(KEYWORDS), st.from_regex(r"[a-z]{3,8}", fullmatch=True))
    def test_does_not_count_inside_a_longer_word(self, keyword: str, letters: str) -> None:
        found = WORDS.match(keyword + letters)
        assert found is None or found.layer != "keywords" or found.keyword.replace("-", " ") != keyword


@pytest.mark.parametrize(
    ("text", "keyword", "layer"),
    [
        ("STPO", "STOP", "misspellings"),
        ("stoop", "STOP", "misspellings"),
        ("un suscribe", "UNSUBSCRIBE", "misspellings"),
        ("unsubscripte", "UNSUBSCRIBE", "misspellings"),
        ("stpo please", "STOP", "misspellings"),
        ("Reply STOP", "STOP", "misspellings"),
        ("Please stop texting me!", "stop texting me", "phrases"),
        ("quit msging me", "stop messaging me", "phrases"),
        ("I said DON’T TEXT ME", "don't text", "phrases"),
        ("You have the wrong number.", "wrong number", "phrases"),
        ("please take my number off the list", "take my number off", "phrases"),
        ("I told you don’t text me", "don't text", "phrases"),
        ("if you don't stop texting me I'll cry", "stop texting me", "phrases"),
        ("please stop", "STOP", "phrases"),
        ("Who is this? Stop.", "STOP", "phrases"),
        ("numéro équivocado", "numero equivocado", "phrases"),
        ("s.t.o.p", "STOP", "obfuscations"),
        ("STOOOOP", "STOP", "obfuscations"),
        ("$t0p", "STOP", "obfuscations"),
        ("ｓｔｏｐ", "STOP", "obfuscations"),
        ("ЅТОР", "STOP", "obfuscations"),
        ("s\u200bto\u200bp", "STOP", "obfuscations"),
        ("🆂🆃🅾🅿", "STOP", "obfuscations"),
        ("unsubscr1be", "UNSUBSCRIBE", "obfuscations"),
        ("CANCE1", "CANCEL", "obfuscations"),
        ("st0p texting me", "stop texting me", "obfuscations"),
    ],
)
def test_other_layers_name_the_keyword_or_phrase_that_is_meant(text: str, keyword: str, layer: str) -> None:
    assert WORDS.match(text) == OptOut(keyword, layer, "message")


class TestComplaint:
    @pytest.mark.parametrize(
        ("text", "keyword"),
        [
            ("SPAM!!", "spam"),
            ("sp@m", "spam"),
            ("Total scam", "total scam"),
            ("FTC", "ftc"),
            ("This is spam", "this is spam"),
            ("Stop spamming me", "stop spamming"),
            ("I'm going to sue", "going to sue"),
            ("I will report you to the FCC", "report you to the fcc"),
        ],
    )
    def test_is_an_accusation(self, text: str, keyword: str) -> None:
        assert WORDS.match(text) == OptOut(keyword, "complaints", "complaint")

    @pytest.mark.parametrize(
        "text",
        [
            "spam musubi",
            "junk food",
            "Hi, this is Sue",
            "Sue",
            "Is this a scam?",
            "my lawyer has the papers",
            "FCC license",
        ],
    )
    def test_is_not_the_word_alone_in_an_ordinary_sentence(self, text: str) -> None:
        assert WORDS.match(text) is None

    def test_comes_after_the_layers_before_it(self) -> None:
        assert WORDS.match("stop texting me, this is spam") == OptOut("stop texting me", "phrases", "message")


class TestNever:
    @pytest.mark.parametrize(
        "text",
        [
            'Liked "Reply STOP to end"',
            "Laughed at “stop texting me”",
            "Removed a like from “This is spam”",
            "\u200a\u200b👍\u200b to “\u200aSTOP\u200a”\u200a",
            "Reacted 😂 to “STOP”",
            "Loved “She said “stop texting me” to you. Reply STOP to end”",
            "Le encantó “no me escriban más”",
            "A ri de « mauvais numéro »",
            "Hat „falsche Nummer“ geliked",
            "Gostou de “número errado”",
            "Non piace “numero sbagliato”",
            "Vond “verkeerd nummer” leuk",
            "Polubiono „stop texting me”",
            "Emphasized “We will stop texting you when you leave m",
        ],
    )
    def test_is_a_reaction_an_opt_out(self, text: str) -> None:
        assert WORDS.match(text) is None

    @pytest.mark.parametrize(
        "text",
        [
            "stop by",
            "can't stop",
            "non-stop",
            "bus stop",
            "Don’t stop!",
            "stop and think",
            "take me off the waitlist",
            "please don't stop texting me",
        ],
    )
    def test_is_a_stop_that_means_another_thing(self, text: str) -> None:
        assert WORDS.match(text) is None

    @pytest.mark.parametrize(
        "text", ["Reply STOP to end", "Text STOP to opt out", "You wrote “no more texts”, what texts?"]
    )
    def test_is_a_quote_of_our_own_text(self, text: str) -> None:
        assert WORDS.match(text) is None

    @pytest.mark.parametrize(
        "text", ['"Stop texting me"', "“take me off”", "I said “stop texting me”", "'Tis not Ann, don't text me"]
    )
    def test_but_the_person_s_own_words_in_quotes_count(self, text: str) -> None:
        assert WORDS.match(text) is not None

    @pytest.mark.parametrize("text", ["please cancel", "Cancel it", "what do I press? Stop?"])
    def test_is_an_ordinary_request_or_question(self, text: str) -> None:
        assert WORDS.match(text) is None

    @pytest.mark.parametrize(
        "text", ["HELP", "INFO", "4170", "$10", "570 Stop St", "QUITE", "Cancer", "Aalto", "👍", "🛑"]
    )
    def test_is_a_help_word_a_number_or_another_word(self, text: str) -> None:
        assert WORDS.match(text) is None
        assert not WORDS.is_opt_in(text)


class TestOptIn:
    @pytest.mark.parametrize("text", [*OPT_IN, "start", " Yes! ", "YES 👍", "unstop.", "Subscribe\n"])
    def test_is_the_whole_reply(self, text: str) -> None:
        assert WORDS.is_opt_in(text)
        assert WORDS.match(text) is None

    @pytest.mark.parametrize("text", ["", None, "yes please", "start tomorrow", "STOP", "don't start", "HELP", "👍"])
    def test_is_nothing_else(self, text: str | None) -> None:
        assert not WORDS.is_opt_in(text)


class TestAccount:
    @pytest.mark.parametrize(
        ("layer", "word", "text", "keyword"),
        [
            ("keywords", "Déjalo ya", "¡déjalo ya!", "Déjalo ya"),
            ("keywords", "GENUG", "G E N U G", "GENUG"),
            ("misspellings", "STAHP", "stahp", "STAHP"),
            ("phrases", "no more pizza", "Please, no more pizza for me", "no more pizza"),
            ("obfuscations", "S=⚡", "⚡TOP", "STOP"),
            ("complaints", "rip-off", "what a rip off", "rip-off"),
        ],
    )
    def test_adds_words_to_a_layer(self, layer: str, word: str, text: str, keyword: str) -> None:
        assert WORDS.match(text) is None
        found = words_of(account(**{layer: (word,)})).match(text)
        assert found is not None
        assert found.keyword == keyword

    @pytest.mark.parametrize(
        ("text", "keyword"),
        [
            ("STOP ACME", "STOP"),
            ("stop acme media.", "STOP"),
            ("Please stop, Acme Media!", "STOP"),
            ("unsubscribe acme", "UNSUBSCRIBE"),
            ("S.T.O.P Acme", "STOP"),
            ("arrêt acme", "ARRET"),
        ],
    )
    def test_may_be_named_after_a_keyword(self, text: str, keyword: str) -> None:
        named = AccountConfig(id="acme", name="Acme Media")
        found = words_of(named).match(text, names_of(named))
        assert found is not None
        assert found.keyword == keyword
        assert WORDS.match(text) is None

    @pytest.mark.parametrize(
        "text",
        [
            "acme stop",
            "ACME",
            "cancel acme",
            "don't stop acme",
            "I like acme",
            "stop acme store",
            "stop 24",
            "is it the bus stop acme",
            "I can't stop. Acme!",
            "Liked “STOP Acme”",
        ],
    )
    def test_named_in_another_sentence_is_no_opt_out(self, text: str) -> None:
        named = AccountConfig(id="24", name="Acme")
        assert words_of(named).match(text, names_of(named)) is None

    def test_may_take_a_keyword_with_its_name_out(self) -> None:
        named = account(never=("STOP ACME",))
        assert words_of(named).match("Stop Acme", names_of(named)) is None

    @pytest.mark.parametrize(
        ("layer", "text"),
        [
            ("keywords", "STOP"),
            ("misspellings", "STPO"),
            ("phrases", "stop texting me"),
            ("obfuscations", "s.t.o.p"),
            ("complaints", "this is spam"),
        ],
    )
    def test_switches_a_layer_off(self, layer: str, text: str) -> None:
        assert WORDS.match(text) is not None
        assert words_of(account(off=(layer,))).match(text) is None

    @pytest.mark.parametrize(("layer", "text"), [("keywords", "s t o p"), ("phrases", "st0p texting me")])
    def test_switches_off_what_hides_behind_other_letters_with_it(self, layer: str, text: str) -> None:
        assert words_of(account(off=(layer,))).match(text) is None

    def test_leaves_the_other_layers_on(self) -> None:
        words = words_of(account(off=("phrases",)))
        assert words.match("STOP") == WORDS.match("STOP")
        assert words.match("stop texting me, this is spam") == OptOut("this is spam", "complaints", "complaint")

    def test_takes_single_words_and_phrases_out(self) -> None:
        words = words_of(account(never=("WRONG", "wrong number")))
        assert words.match("wrong") is None
        assert words.match("w.r.0.n.g") is None
        assert words.match("that's the wrong number, 7 is right") is None
        assert words.match("STOP") == WORDS.match("STOP")

    def test_writes_phrases_and_no_patterns(self) -> None:
        words = words_of(account(phrases=("no a|b c? <me>",)))
        assert words.match("no a c me") is None
        assert words.match("no a|b c <me>") is not None

    def test_without_words_of_its_own_is_read_by_the_default(self) -> None:
        assert words_of(account()) is WORDS
        assert words_of(None) is WORDS

    def test_is_told_apart_from_others_with_other_words(self) -> None:
        first, second = words_of(account(keywords=("ONE",))), words_of(account(keywords=("TWO",)))
        assert (first.match("one"), second.match("one")) == (OptOut("ONE", "keywords"), None)

    @given(st.dictionaries(st.sampled_from([*LAYERS, NEVER, "others"]), st.lists(st.text(max_size=8)).map(tuple)))
    def test_may_have_any_settings(self, settings: dict[str, tuple[str, ...]]) -> None:
        words_of(AccountConfig(id="acme", name="Acme", opt_out_words=settings)).match("Hello, stop it")

    def test_writes_layers_as_its_settings_name_them(self) -> None:
        assert OPT_OUT_LAYERS == LAYERS
        assert (*LAYERS, NEVER) == OPT_OUT_WORDS


class TestAnyText:
    @given(st.text(max_size=300) | st.none())
    def test_can_be_read(self, text: str | None) -> None:
        found = WORDS.match(text)
        assert found is None or found.layer in LAYERS
        WORDS.is_opt_in(text)

    @given(
        st.lists(
            st.sampled_from(
                [
                    "stop",
                    "don't",
                    "text",
                    "me",
                    '"',
                    "’",
                    "“",
                    "…",
                    "\n",
                    "$",
                    "0",
                    "#",
                    "S",
                    " ",
                    "ﷺ",
                    "\u200b",
                    "\ud800",
                ]
            )
        ).map("".join)
    )
    def test_of_the_words_and_signs_that_matter_can_be_read(self, text: str) -> None:
        found = WORDS.match(text)
        assert found is None or found.reason in ("message", "complaint")

    @pytest.mark.parametrize(
        "text", ["a ", "stop ", "…", ".x", '"', "5t0p ", "ﷺ", "ㄱ", "#", "don't ", "\ud800", "this is "]
    )
    def test_is_read_up_to_a_bound(self, text: str) -> None:
        long = text * 10_000
        assert WORDS.match(long) == WORDS.match(long[:MAX_CHARACTERS])

    def test_beyond_the_bound_is_not_read(self) -> None:
        assert WORDS.match("x " * (MAX_CHARACTERS // 2) + "stop texting me") is None
