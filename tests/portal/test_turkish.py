"""The Turkish catalogue is whole: every text has its words, its placeholders, and reaches the page."""

from __future__ import annotations

import ast
import gettext
import re
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation

from incidents import actions
from portal.templatetags.portal_tags import relative_text
from tests.conftest import T0
from tests.factories import incident

FOLDER = Path(settings.LOCALE_PATHS[0], "tr", "LC_MESSAGES")
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%%|%[sd]|\{\w*\}|</?\w[^>]*>")


def catalogue() -> list[dict[str, str]]:
    """The entries of the .po, each as {"flags", "msgid", "msgid_plural", "msgstr" or "msgstr[n]"}."""
    entries = []
    for block in (FOLDER / "django.po").read_text(encoding="utf-8").split("\n\n"):
        entry: dict[str, str] = {"flags": ""}
        key = ""
        for line in block.splitlines():
            if line.startswith("#,"):
                entry["flags"] += line
            elif line and not line.startswith("#"):
                word, _, text = line.partition(" ") if not line.startswith('"') else (key, "", line)
                key = word
                entry[key] = entry.get(key, "") + ast.literal_eval(text)
        if entry.get("msgid"):
            entries.append(entry)
    return entries


def words_of(entry: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in entry.items() if name.startswith("msgstr")}


def test_no_text_is_without_words_or_guessed():
    entries = catalogue()
    assert len(entries) > 800
    assert [entry["msgid"] for entry in entries if "fuzzy" in entry["flags"]] == []
    assert [entry["msgid"] for entry in entries if not all(words_of(entry).values())] == []
    plurals = [entry for entry in entries if "msgid_plural" in entry]
    assert [e["msgid"] for e in plurals if set(words_of(e)) != {"msgstr[0]", "msgstr[1]"}] == []


def test_the_compiled_catalogue_is_the_written_one():
    expected = {}
    for entry in catalogue():
        name = f"{entry['msgctxt']}\x04{entry['msgid']}" if "msgctxt" in entry else entry["msgid"]
        for form, text in words_of(entry).items():
            expected[name if form == "msgstr" else (name, int(form[7:-1]))] = text
    with (FOLDER / "django.mo").open("rb") as compiled:
        found = gettext.GNUTranslations(compiled)._catalog  # type: ignore[attr-defined]  # nothing public lists it
    assert {name: text for name, text in found.items() if name} == expected


@pytest.mark.parametrize("form", ["msgstr", "msgstr[0]", "msgstr[1]"])
def test_every_placeholder_is_kept_and_none_is_invented(form):
    for entry in catalogue():
        if form in entry:
            given = entry.get("msgid_plural", entry["msgid"])
            assert sorted(PLACEHOLDER.findall(entry[form])) == sorted(PLACEHOLDER.findall(given)), given


def test_no_case_suffix_is_hung_on_a_placeholder():
    """Its vowels follow the word that is put there, which the text cannot know."""
    hung = re.compile(r"%\(\w+\)s[’'\w]")
    assert [text for entry in catalogue() for text in words_of(entry).values() if hung.search(text)] == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/", ["Açık olay kayıtları", "Hizmetleriniz", "17 dk. sonra", "API down"]),
        ("/incidents/", ["Sıradaki son zaman", "Üzerinde çalışılıyor", "1 olay kaydı"]),
        ("/incidents/new/", ["Sorun nedir?", "en geç 15 dakika içinde, 7/24", "Dosyalar"]),
        ("/incidents/INC-1001/", ["Gül One yanıtladı", "İşliyor", "Sürenin kullanılan bölümü: %43"]),
        ("/sla/", ["Size taahhüdümüz", "en geç 5 iş günü içinde", "Pazartesi"]),
        ("/status/", ["Hizmet durumu"]),
        ("/maintenance/", ["Duyurulmuş bir bakım yok"]),
        ("/knowledge/", ["Bilgi bankası"]),
        ("/profile/", ["Günlük özetin saati", "Kuruluşumun saat dilimi"]),
    ],
)
def test_a_turkish_person_reads_turkish(client, a1, g1, address, words):
    a1.language = "tr"
    a1.save()
    made = incident(a1, T0)
    actions.start_intervention(made, by=g1, now=T0 + timedelta(minutes=5), channel="admin")
    actions.reply(made, by=g1, now=T0 + timedelta(minutes=6), channel="admin", text="We are on it.")
    client.force_login(a1)
    with time_machine.travel(T0 + timedelta(minutes=13), tick=False):
        answer = client.get(address.replace("INC-1001", made.reference))
    page = re.sub(r"\s+", " ", re.sub(r"</?(strong|span)[^>]*>", "", answer.content.decode()))
    assert (answer.status_code, answer["Content-Language"]) == (200, "tr")
    assert [word for word in words if word not in page] == []


def test_mails_and_times_speak_turkish():
    with translation.override("tr"):
        assert relative_text(T0, T0 + timedelta(hours=3)) == "3 sa. önce"
        lead = render_to_string("emails/closed.txt", {"incident": {"title": "API down"}})
    assert "“API down” olayı kapandı." in lead
