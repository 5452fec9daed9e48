"""The report goes out once, on the first business day of the next month at 08:00, to the managers of then."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core import mail as django_mail
from django.core.management import call_command

from incidents import actions, report_mail
from incidents.defaults import plan_for
from incidents.models import MonthlyReport
from incidents.report_mail import send_monthly_reports
from portal import outbox, pdf
from portal.calendars import new_version
from portal.models import Organisation, OutboxMessage
from tests.factories import CANARY, incident, person

ISTANBUL = ZoneInfo("Europe/Istanbul")
MARCH = date(2026, 3, 1)


def on(day, hour, minute=0, month=4):
    return datetime(2026, month, day, hour, minute, tzinfo=ISTANBUL)


DUE = on(1, 8)  # a Wednesday


@pytest.fixture(autouse=True)
def _no_holidays(settings):
    settings.SUPPORT_COUNTRY = ""


@pytest.fixture
def acme(acme):
    Organisation.objects.filter(pk=acme.pk).update(time_zone="Europe/Istanbul", created_at=on(1, 9, month=1))
    acme.refresh_from_db()
    return acme


@pytest.fixture
def mine(acme, a1, a2, a3, g1):
    with time_machine.travel(on(3, 13, month=3), tick=False):
        made = incident(a1, on(3, 13, month=3), level="P2")
        actions.reply(made, by=g1, now=on(3, 13, 5, month=3), channel="admin", text="We look.")
        actions.resolve(made, by=g1, now=on(3, 14, month=3), channel="admin", cause="c", remedy="r")
    return made


def swept(at):
    with time_machine.travel(at, tick=False):
        count = send_monthly_reports(at)
        outbox.sweep(at)
    return count


def mailed():
    return [mail for mail in django_mail.outbox if "Service report" in mail.subject]


def test_it_goes_to_the_managers_on_the_first_business_day_at_8_and_once(mine, a2):
    assert swept(DUE - timedelta(seconds=1)) == 0
    assert swept(DUE) == 1
    [mail] = mailed()
    assert mail.to == [a2.email]
    assert mail.subject == "Service report March 2026 for Acme: All 2 targets were met."
    assert "First response: 1 met, 0 missed" in mail.body
    assert "Inference API: 9" in mail.body or "Inference API: 100" in mail.body
    assert "/reports/2026-03/?organisation=acme" in mail.body
    for at in (DUE, DUE + timedelta(hours=1), on(20, 12), on(30, 23)):
        assert swept(at) == 0
    assert len(mailed()) == 1
    row = MonthlyReport.objects.get()
    assert (row.month, row.made_at, row.content["is_running"]) == (MARCH, DUE, False)


@pytest.mark.skipif(not pdf.is_available(), reason="libpango is not installed")
def test_the_document_is_attached(mine):
    swept(DUE)
    [mail] = mailed()
    [attached] = mail.attachments
    assert (attached[0], attached[2]) == ("acme-2026-03.pdf", "application/pdf")
    assert attached[1].startswith(b"%PDF")
    assert "The document is attached." in mail.body


def test_without_the_library_the_figures_are_in_the_text(mine, monkeypatch):
    def missing(*args):
        raise pdf.Unavailable("libpango")

    monkeypatch.setattr(pdf, "_library", missing)
    swept(DUE)
    [mail] = mailed()
    assert (len(mail.attachments), "attached" in mail.body) == (0, False)
    assert "Resolved: 1" in mail.body


def test_a_month_that_begins_on_a_closed_day_waits_for_the_first_open_one(mine, acme, h1):
    calendar = plan_for(acme, DUE).calendar
    own = [(date(2026, 4, 1), "Founders' day", []), (date(2026, 4, 2), "Half", ["10:00-12:00"])]
    new_version(calendar, now=on(20, 9, month=3), by=h1, own_days=own)
    assert swept(on(1, 23)) == 0
    assert swept(on(2, 7, 59)) == 0
    assert swept(on(2, 8)) == 1


def test_a_weekend_at_the_start_of_the_month(mine, acme):
    """1 August 2026 is a Saturday: the report of July goes out on Monday the 3rd."""
    assert report_mail.due_at(acme, date(2026, 7, 1), DUE) == on(3, 8, month=8)


def test_eight_o_clock_is_that_of_the_organisation(mine, acme):
    Organisation.objects.filter(pk=acme.pk).update(time_zone="America/New_York")
    assert swept(datetime(2026, 4, 1, 11, 59, tzinfo=UTC)) == 0
    assert swept(datetime(2026, 4, 1, 12, 0, tzinfo=UTC)) == 1


def test_a_late_run_sends_the_last_month_once_and_never_an_older_one(mine):
    assert swept(on(27, 3)) == 1
    assert len(mailed()) == 1
    assert swept(on(2, 12, month=6)) == 1  # May's; April's is past
    months = list(MonthlyReport.objects.order_by("month").values_list("month", flat=True))
    assert months == [MARCH, date(2026, 5, 1)]


def test_a_customer_that_came_later_and_one_that_left_get_none(mine, acme, nordwind):
    Organisation.objects.filter(pk=nordwind.pk).update(created_at=on(1, 7))
    Organisation.objects.filter(pk=acme.pk).update(is_active=False)
    assert swept(DUE) == 0
    assert MonthlyReport.objects.count() == 0


def test_whoever_is_no_manager_any_more_hears_nothing(mine, a2, acme):
    with time_machine.travel(DUE, tick=False):
        send_monthly_reports(DUE)
        a2.memberships.update(role="member")
        outbox.sweep(DUE)
    assert mailed() == []
    assert OutboxMessage.objects.get(kind="monthly_report").state == "dropped"


def test_one_organisations_trouble_is_not_the_others(mine, acme, nordwind, b1, monkeypatch):
    Organisation.objects.filter(pk=nordwind.pk).update(
        created_at=on(1, 9, month=1), name=f"Nordwind {CANARY}"
    )
    real = report_mail.due_at

    def broken(organisation, month, now):
        if organisation.pk == acme.pk:
            raise RuntimeError("no calendar")
        return real(organisation, month, now)

    monkeypatch.setattr(report_mail, "due_at", broken)
    assert swept(DUE) == 1
    monkeypatch.undo()
    assert swept(DUE) == 1
    by_address = {mail.to[0]: str(mail.message()) + mail.body for mail in mailed()}
    assert CANARY not in by_address["a2@acme.example"]
    assert CANARY in by_address["b1@nordwind.example"]


def test_two_at_once_freeze_one_and_queue_one(mine, acme, monkeypatch):
    """The other process froze it between our look and our writing."""
    from incidents import report

    real = report.computed

    def meanwhile(organisations, month, now):
        content = real(organisations, month, now)
        if not MonthlyReport.objects.exists():
            monkeypatch.setattr(report, "computed", real)
            send_monthly_reports(now)
        return content

    monkeypatch.setattr(report, "computed", meanwhile)
    with time_machine.travel(DUE, tick=False):
        send_monthly_reports(DUE)
    assert MonthlyReport.objects.filter(organisation=acme).count() == 1
    assert OutboxMessage.objects.filter(kind="monthly_report").count() == 1


def test_in_the_language_of_the_manager_and_the_zone_of_the_organisation(mine, a2):
    a2.time_zone, a2.language = "Asia/Tokyo", "tr"
    a2.save()
    swept(DUE)
    [message] = OutboxMessage.objects.filter(kind="monthly_report")
    assert message.state == "sent"


def test_the_clockwork_by_hand_sends_it_too(mine, capsys):
    person("second@acme.example", "Second", mine.organisation, "manager")
    with time_machine.travel(DUE, tick=False):
        call_command("sweep")
    assert "monthly reports: 1" in capsys.readouterr().out
    assert {mail.to[0] for mail in mailed()} == {"a2@acme.example", "second@acme.example"}
