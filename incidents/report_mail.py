"""The report by mail: on the first business day of the next month at 08:00, to the organisation's managers, once.

What is mailed is frozen first. A sweep that comes late sends it still; a month that is not the last one is past.
"""

from __future__ import annotations

import logging
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone, translation

from incidents import report, report_view
from incidents.defaults import plan_for
from incidents.models import MonthlyReport
from portal import access, business_time, outbox, pdf
from portal.calendars import as_calendar
from portal.channels.base import Attached, Rendered
from portal.mails import language_of, render_mail
from portal.models import Membership, Organisation, OutboxMessage, User

logger = logging.getLogger(__name__)
MAIL = "monthly_report"
HOUR = time(8)
DAYS_LOOKED_AT = 31


def due_at(organisation: Organisation, month: date, now: datetime) -> datetime:
    """08:00 of the organisation's zone on the first business day after the month."""
    calendar = as_calendar(plan_for(organisation, now).calendar.current_version)
    first = report.next_month(month)
    days = (first + timedelta(days=number) for number in range(DAYS_LOOKED_AT))
    day = next((day for day in days if business_time.close_of_day(calendar, day) is not None), first)
    return datetime.combine(day, HOUR, ZoneInfo(organisation.time_zone))


def send_monthly_reports(now: datetime) -> int:
    """Freeze and queue the reports of the last month that are due; returns how many."""
    count = 0
    for organisation in Organisation.objects.filter(is_active=True, is_vendor=False).order_by("pk"):
        try:
            count += send_monthly_report(organisation, now)
        except Exception:  # one organisation's trouble is not the others'
            logger.exception("the monthly report of organisation %s failed", organisation.pk)
    return count


def send_monthly_report(organisation: Organisation, now: datetime) -> bool:
    """Freeze and queue the organisation's report of its last month; False before its time, and when it is made."""
    today = now.astimezone(ZoneInfo(organisation.time_zone)).date()
    month = report.month_before(today.replace(day=1))
    made = MonthlyReport.objects.filter(organisation=organisation, month=month)
    if made.exists() or month not in report.months_of(organisation, now):
        return False
    if now < due_at(organisation, month, now):
        return False
    [content] = report.computed([organisation], month, now)
    with transaction.atomic():
        row, is_new = MonthlyReport.objects.get_or_create(
            organisation=organisation, month=month, defaults={"content": content, "made_at": now}
        )
        if is_new:
            _queue(row, now)
    return is_new


def managers_of(organisation: Organisation) -> Any:
    is_manager = Membership.objects.filter(organisation=organisation, role=Membership.Role.MANAGER)
    return User.objects.filter(is_active=True, pk__in=is_manager.values("user")).order_by("pk")


def _queue(row: MonthlyReport, now: datetime) -> None:
    for person in managers_of(row.organisation):
        outbox.enqueue(
            MAIL,
            person,
            now=now,
            dedupe_key=f"{MAIL}:{row.pk}:{person.pk}",
            facts={"report": row.pk},
            subject_key=f"report {row.month:%Y-%m}",
            priority=OutboxMessage.Priority.LOW,
        )


# --- at send time ---


def _row(message: OutboxMessage) -> MonthlyReport:
    return MonthlyReport.objects.select_related("organisation").get(pk=message.facts["report"])


def why_not(message: OutboxMessage) -> str:
    """Why the report may not be sent to the person any more, or ""."""
    organisation = _row(message).organisation
    if not organisation.is_active or not access.may_manage(message.person, organisation):
        return "the recipient is not a manager of the organisation any more"
    return ""


def render(message: OutboxMessage) -> Rendered:
    """The figures in the text, and the document beside it where this machine can make one."""
    row, person = _row(message), message.person
    organisation = row.organisation
    language = language_of(person, organisation)
    address = reverse("incidents:report", args=[f"{row.month:%Y-%m}"])
    url = f"{settings.SITE_URL}{address}?organisation={organisation.slug}"
    with translation.override(language), timezone.override(organisation.time_zone):
        context = {"report": report_view.shown(row.content), "url": url}
    attached = _attached(row, organisation, language)
    return render_mail(
        MAIL,
        context | {"has_pdf": bool(attached)},
        recipient=person,
        organisation=organisation,
        url=url,
        attached=attached,
    )


def _attached(row: MonthlyReport, organisation: Organisation, language: str) -> tuple[Attached, ...]:
    try:
        made = pdf_of(row.content, organisation, language)
    except pdf.Unavailable:
        return ()
    return (Attached(f"{organisation.slug}-{row.month:%Y-%m}.pdf", "application/pdf", made),)


def pdf_of(content: dict[str, Any], organisation: Organisation, language: str) -> bytes:
    """The report as a document, in the organisation's zone. Raises `pdf.Unavailable`."""
    with translation.override(language), timezone.override(organisation.time_zone):
        context = {"report": report_view.shown(content), "brand": settings.SUPPORT_BRAND}
        return pdf.render_pdf("documents/report.html", context)


def register() -> None:
    """Make the report known to the outbox."""
    outbox.register(outbox.MessageKind(name=MAIL, render=render, why_not=why_not))
