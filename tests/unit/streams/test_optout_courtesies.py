"""What surrounds an opt-out: courtesies, signatures, phones' footers; and the words of consent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.optout import default_words

WORDS = default_words()
BEFORE = [
    "",
    "Hi, ",
    "Hello. ",
    "Good morning, ",
    "Dear sir or madam, ",
    "Hola, ",
    "Bonjour, ",
    "Guten Tag, ",
    "Bom dia, ",
]
COURTESIES = ["", " thanks", ". Many thanks", ", thank you so much!", " - thx", ". Have a nice day", ". God bless"]
COURTESIES += [" gracias", ", muchas gracias", " merci", ". Merci beaucoup", " danke", ". Vielen Dank", " obrigado"]
REQUESTS = [" please", " pls", " por favor", " svp", " s'il vous plaît", " bitte"]
FOOTERS = ["\n\nSent from my iPhone", "\nSent from Yahoo Mail on Android", "\n\nGet Outlook for iOS"]
FOOTERS += ["\nEnviado desde mi iPhone", "\nEnvoyé de mon iPhone", "\nVon meinem iPhone gesendet"]
SIGNATURES = [" - Jane Roe", "\n- Jane", "\nJane Roe", "\n--\nJane Roe\nRoe & Sons", ". Regards, Jane Roe"]
UNMISTAKABLE = ["STOP", "Unsubscribe", "BAJA", "PARAR", "ARRET", "SAIR", "Abmelden", "opt out", "TD"]
ASKING = ["CANCEL", "END", "BLOCK", "WRONG"]


@given(
    st.sampled_from(BEFORE),
    st.sampled_from(UNMISTAKABLE),
    st.sampled_from([*COURTESIES, *REQUESTS]),
    st.sampled_from(["", *FOOTERS, *SIGNATURES]),
)
def test_a_keyword_counts_with_courtesies_around_it_and_a_signature_below(
    before: str, keyword: str, courtesy: str, below: str
) -> None:
    found = WORDS.match(before + keyword + courtesy + below)
    assert found is not None
    assert found.keyword.lower() == keyword.lower()


@pytest.mark.parametrize("keyword", ASKING)
def test_a_keyword_that_may_be_of_an_order_counts_with_thanks_but_not_with_a_request(keyword: str) -> None:
    assert WORDS.match(f"{keyword}. Thank you") is not None
    assert WORDS.match(f"{keyword}\nSent from my iPhone") is not None
    assert WORDS.match(f"Please {keyword}") is None
    assert WORDS.match(f"{keyword} please. Thanks") is None


@pytest.mark.parametrize("text", ["STOP 67890", "BAJA 22555", "STOP 36111 merci", "STOP 415-555-0100"])
def test_the_number_that_a_keyword_is_sent_to_may_stand_behind_it(text: str) -> None:
    assert WORDS.match(text) is not None


@pytest.mark.parametrize(
    "text", ["Stop 42", "Stop 5 is mine", "TD Bank", "7d", "Thanks\nSent from my iPhone", "Many thanks - Jane Roe"]
)
def test_a_bus_stop_and_courtesies_alone_are_none(text: str) -> None:
    assert WORDS.match(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "I revoke consent",
        "please revoke my consent",
        "withdraw consent",
        "I no longer consent",
        "you don't have my permission to text me",
        "cease and desist",
        "no más",
        "unsuscribe me please",
        "discontinue",
        "no more",
        "salir",
        "detener",
        "ARRETE",
        "delete my data",
        "please don't text back",
        "Por favor, parar",
        "Valeu, pode parar",
        "put me on your do not call list",
        "retiro mi consentimiento",
        "je retire mon consentement",
        "STOP thank u",
        "Stop!! I said stop",
        "stop text",
        "Stop service",
        "Unsubscribe from all",
        "STOP HELP",
        "STOP START",
        "dejar de recibir",
        "não quero mais receber",
        "取消订阅",
        "إلغاء",
        "수신거부",
        "İPTAL",
        "הסר, תודה",
        "стоп пожалуйста",
        "STOP, dziękuję",
        "Avsluta tack",
        "iptal lütfen",
        "退订 谢谢",
        "STOPSTOP",
        "STOP means STOP",
        "I told you to stop",
        "Why am I still getting these? I said stop.",
    ],
)
def test_plain_words_are_opt_outs(text: str) -> None:
    found = WORDS.match(text)
    assert found is not None
    assert found.reason == "message"


@pytest.mark.parametrize(
    "text",
    [
        "the consent form is signed",
        "Do you need my consent?",
        "I got a cease and desist letter from my neighbor",
        "no more than two",
        "is it discontinued?",
        "voy a salir a las 5",
        "no más tarde de las 3",
        "please don't text back till 6",
        "my data plan ran out",
        "Stop help me with my order",
        "the stop text was odd",
        "cancel 12/31/2026 10:30",
        "END 2026-12-31",
        "tak",
        "Tack!",
        "спасибо",
        "he said I told you to stop at the light",
        "I'm with you, somebody has to STOP this awful bill!!",
    ],
)
def test_the_same_words_in_ordinary_sentences_are_none(text: str) -> None:
    assert WORDS.match(text) is None


LONG = "I bought one thing from you in May and have been getting these every day since then, at night too, and "


@pytest.mark.parametrize("end", ["I am at work. Stop.", "nobody answers, please stop", "I'm done: unsubscribe"])
def test_the_end_of_a_long_reply_counts_too(end: str) -> None:
    assert WORDS.match(LONG * 3) is None
    assert WORDS.match(LONG * 3 + end) is not None


@pytest.mark.parametrize("text", ["STOP " * 60, "stop! " * 60, "Stop please " * 40])
def test_a_keyword_may_be_repeated_as_often_as_somebody_likes(text: str) -> None:
    assert WORDS.match(text) is not None
