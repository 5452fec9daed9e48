"""Every kind of event has a verdict on who hears, and every mail its three templates."""

import pytest
from django.core import mail as sent
from django.template.loader import get_template

from incidents import notify
from incidents.models.timeline import PAYLOADS
from portal import outbox
from tests.conftest import T0
from tests.factories import incident


def mails():
    return sorted({notice.mail for notices in notify.NOTICES.values() for notice in notices})


def test_every_kind_of_event_has_a_verdict():
    assert sorted(notify.NOTICES) == sorted(PAYLOADS)


def test_the_name_of_a_mail_says_whether_it_is_for_staff():
    for notices in notify.NOTICES.values():
        for notice in notices:
            assert notice.mail.startswith("staff_") == notice.is_for_staff, notice.mail


def test_no_internal_event_reaches_a_customer():
    for kind, notices in notify.NOTICES.items():
        if not PAYLOADS[kind].is_public:
            assert all(notice.is_for_staff for notice in notices), kind


@pytest.mark.parametrize("mail", mails())
def test_every_mail_has_subject_text_and_html(mail):
    for part in ("subject.txt", "txt", "html"):
        assert get_template(f"emails/{mail}.{part}")


def test_a_mail_is_turkish_throughout_for_who_reads_turkish(a1, g1):
    a1.language = "tr"
    a1.save()
    made = incident(a1, T0)
    outbox.sweep(T0)
    told = next(m for m in sent.outbox if m.to == [a1.email])
    assert "İlk yanıt: " in told.body
    assert "Sal 3 Mar 2026, 13:15 UTC+3" in told.body
    for english in ("First response", "Intervention", "Next update", "by "):
        assert english not in told.body + told.subject
    assert made.reference in told.subject
