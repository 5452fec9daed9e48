"""Absence notices without any header, and people whose words are like theirs."""

import pytest

from incidents.intake.automatic import why_automatic
from incidents.intake.mime import Headers

PEOPLE_SUBJECTS = [
    "Out of office hours support",
    "Auto reply does not work",
    "Auto-reply rule broken: who fixes it",
    "Absence module error",
    "Ausencia de datos en el informe",
    "Afwezigheid registreren lukt niet",
    "Abwesenheit eintragen geht nicht",
    "Abwesend-Status falsch",
    "OOO status in Teams is wrong",
    "Automatic replies are lost",
    "Otomatik yanıt çalışmıyor",
    "Otomatik mesaj gitmiyor",
    "İzin ekranı hata veriyor",
    "On leave page crashes",
    "On vacation screen error",
    "Absent values in report",
    "不在の社員が表示されない",
    "Frånvaro kan inte registreras",
    "Nieobecność nie zapisuje się",
    "Automatische Antwort kommt nicht an",
    "Ofis dışında VPN çalışmıyor",
    "Fuera de servicio: nodo 9",
    "Assente nel report: dati",
    "izinde olan personel görünmüyor",
    "Auto: brake service",
    "Re: Auto-reply",
    "Out of office assistant: does not start",
    "Absence: wrong balance since 3 March",
    "İzin: bakiye yanlış",
    "on leave 3 days are missing in payroll",
]
NOTICE_SUBJECTS = [
    "Automatic reply: x",
    "Auto Reply: x",
    "AUTO: x is out",
    "Autoreply: [INC-1]",
    "Out of Office Re: x",
    "Out of Office AutoReply: x",
    "I am out of the office",
    "I'm out of the office: x",
    "Abwesenheitsnotiz",
    "Abwesenheit: bis 9.3.",
    "Abwesenheitsassistent: x",
    "Automatische Antwort: x",
    "[Auto-Reply] x",
    "Réponse automatique : x",
    "Absence du bureau : x",
    "Ayşe Kaya ofis dışında",
    "Otomatik Cevap: x",
    "OTOMATİK YANIT: x",
    "Otomatik yanıtlama: x",
    "İzindeyim",
    "Yıllık izindeyim: x",
    "Respuesta automática: x",
    "Resposta automática: x",
    "Risposta automatica: x",
    "Afwezigheidsassistent: x",
    "Automatisch antwoord: x",
    "Autosvar: x",
    "Automaattinen vastaus: x",
    "Автоответ: x",
    "Автоматический ответ: x",
    "自動返信：x",
    "自动答复: x",
    "Auto Response: x",
    "Automatic Reply",
    "Vacation: x",
]
PEOPLE_TEXTS = [
    "I am away from my desk, the node still fails. Please call me.",
    "Thanks, I received your message. I will reply tomorrow.",
    "I will be out of the office tomorrow. Please contact Can about this ticket.",
    "Izindeyim ama bakıyorum. Sunucu hala kapalı.",
    "Bugün ofiste değilim, lütfen Can ile iletişime geçin. Sorun devam ediyor.",
    "We are on vacation mode? no",
    "I am travelling, reply by phone please. Error 503 persists.",
    "Auto-reply is switched on but customers get nothing. Please check.",
    "The automatic reply from your system contained a wrong link. Please read it.",
    "Bu otomatik mesajı neden alıyorum. Lütfen yanıt verin.",
    "Thank you for your reply. It works.",
    "Ich bin unterwegs. Der Fehler besteht weiter.",
    "Estoy fuera. El error sigue.",
]
NOTICE_TEXTS = [
    "Thank you for contacting us. This is an automated response to confirm we have received your request. Someone will get back to you within 24 hours.",
    "I'm out of the office and will be back on Monday 9 March. For urgent matters, please contact Can.",
    "I am on parental leave until September 2026. Please direct your enquiries to Can Demir.",
    "I no longer work at Kunde. Please contact Can Demir.",
    "Merhaba, 9 Mart tarihine kadar ofis dışındayım. E-postanıza dönüşte yanıt vereceğim.",
    "Ik ben afwezig tot 9 maart. Voor dringende zaken kunt u contact opnemen met Can.",
    "Olá, estou de férias até 9 de março. Em caso de urgência, contacte Can.",
    "Jestem na urlopie do 9 marca. W pilnych sprawach proszę o kontakt z Can.",
    "Jag är på semester till den 9 mars. Kontakta Can vid brådskande ärenden.",
    "Sono assente dall'ufficio fino al 9 marzo. Per urgenze contattare Can.",
    "お世話になっております。3月9日まで休暇をいただいております。緊急の場合はCanまでご連絡ください。",
    "您好，我正在休假，3月9日返回。如有紧急事务请联系Can。",
]


def why(subject="Re: Login fails", text="Hello"):
    return why_automatic(Headers(), subject=subject, text=text)


@pytest.mark.parametrize("subject", PEOPLE_SUBJECTS)
def test_a_persons_subject_is_a_persons(subject):
    assert why(subject=subject) == ""


@pytest.mark.parametrize("subject", NOTICE_SUBJECTS)
def test_a_notices_subject_is_known(subject):
    assert why(subject=subject).startswith("Subject: ")


@pytest.mark.parametrize("text", PEOPLE_TEXTS)
def test_a_persons_text_is_a_persons(text):
    assert why(text=text) == ""


@pytest.mark.parametrize("text", NOTICE_TEXTS)
def test_a_notices_text_is_known(text):
    assert why(text=text) == "The text is an absence notice"
