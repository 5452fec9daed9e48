"""Redaction as a pure function: any case, any white space, through Markdown, whole words."""

import pytest

from portal.redaction import BLACK, Redactor, Secret, candidates

NAME = Redactor([Secret("Nordwind Logistik")])


@pytest.mark.parametrize(
    "text",
    [
        "Nordwind Logistik",
        "nordwind logistik",
        "NORDWIND\nLOGISTIK",
        "Nordwind\u00a0Logistik",
        "Nordwind  **Logistik**",
        "Nord\u00adwind Logistik",
        "Nordwind&nbsp;Logistik",
    ],
)
def test_a_name_is_found_however_it_is_written(text):
    said = NAME(f"Then {text}, who saw it.")
    assert "ord" not in said.lower()
    assert "ogistik" not in said.lower()
    assert said.startswith(f"Then {BLACK}")


@pytest.mark.parametrize("text", ["Nordwind Logistiker", "the north wind", "XNordwind Logistik", "Nordwind"])
def test_other_words_stay(text):
    assert NAME(text) == text


def test_turkish_letters_in_any_case():
    redact = Redactor([Secret("İstanbul Işık")])
    for text in ("istanbul ışık", "ISTANBUL IŞIK", "İSTANBUL IŞIK", "i̇stanbul ışık"):
        assert redact(text) == BLACK, text
        assert candidates([text], ["İstanbul Işık"]) == ["İstanbul Işık"], text


def test_composed_and_decomposed_letters_are_the_same():
    assert Redactor([Secret("Cafe\u0301 Su")])("Caf\u00e9 su") == BLACK


def test_signs_are_found_escaped_and_as_entities():
    redact = Redactor([Secret("Smith & Sons_2"), Secret("b1@nordwind.example")])
    assert redact("Smith &amp; Sons\\_2") == BLACK
    assert redact("mail B1@Nordwind.example.") == f"mail {BLACK}."
    assert redact("xb1@nordwind.example") == "xb1@nordwind.example"


def test_the_longest_goes_first_and_what_is_shown_instead_is_ours():
    redact = Redactor([Secret("node"), Secret("node 2", "a machine (\\1)")])
    assert redact("Node 2 and node 3") == f"a machine (\\1) and {BLACK} 3"


def test_an_exact_word_keeps_to_its_case():
    redact = Redactor([Secret("Can", is_exact=True)])
    assert redact("We can ask Can.") == f"We can ask {BLACK}."


def test_empty_secrets_replace_nothing():
    assert Redactor([Secret(" "), Secret("")])("As it was.") == "As it was."


def test_structures_keep_their_form():
    given = {"a": ["Nordwind Logistik", {"b": 3, "c": None}]}
    assert NAME.within(given) == {"a": [BLACK, {"b": 3, "c": None}]}


def test_candidates_need_every_word():
    names = ["Nordwind Logistik", "Acme Bank", "&&"]
    assert candidates(["nordwind\nlogistik, acme"], names)[:1] == ["Nordwind Logistik"]
    assert "Acme Bank" not in candidates(["nordwind logistik, acme"], names)
