"""What is measured inside a process of the product, on the database of DATABASE_URL; each prints one line of JSON.

python -m bench.scale_inside facts              whom and what the pages are asked with
python -m bench.scale_inside mails COUNT PORT   mails in, and what they cause, out to an SMTP server
python -m bench.scale_inside sweep DUE          one sweep at the instant at which so many incidents are due
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage
from statistics import median

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

import django

SOME = 40


def facts() -> dict:
    """The organisation with the most incidents, its manager, a head of support, their tokens, and incidents."""
    from django.core.management import call_command
    from django.db.models import Count

    from incidents.models import Incident
    from portal.models import Membership, Organisation, Service, User

    organisation = Organisation.objects.annotate(n=Count("incidents")).order_by("-n", "pk").first()
    manager = Membership.objects.filter(organisation=organisation, role="manager").order_by("pk")[0].user
    staff = User.objects.filter(staff_role="head_of_support", is_active=True).order_by("pk").first()
    closed = Incident.objects.filter(organisation=organisation, status="closed", level="P2")
    chosen = list(closed.order_by("-pk")[:SOME])
    services = Service.objects.filter(subscriptions__organisation=organisation).order_by("pk")
    name = f"bench {time.time_ns()}"
    return {
        "organisation": organisation.pk,
        "incidents": organisation.n,
        "customer": manager.email,
        "staff": staff.email,
        "references": [incident.reference for incident in chosen],
        "ids": [incident.pk for incident in chosen],
        "services": [service.slug for service in services],
        "token": said(call_command, "create_api_token", manager.email, name=name),
        "alarms": said(
            call_command, "create_alarm_source", name, kind="alertmanager", organisation=organisation.slug
        ),
    }


def said(call: Callable, *args, **options) -> str:
    from io import StringIO

    out = StringIO()
    call(*args, stdout=out, **options)
    return out.getvalue().strip()


# --- mails ---


def mails(count: int, port: int) -> dict:
    """Read so many mails of a customer, each a reply to one incident; then send what they and staff's words cause."""
    from django.conf import settings

    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.CELERY_BROKER_URL = "memory://"
    took, address = [], an_address()
    for number in range(count):
        raw = written(number, *address)
        took.append(seconds(lambda raw=raw: received(raw)))
    answered(count)
    return {"in": spread(took[1:]), **sent()}


def an_address() -> tuple[str, str]:
    """A new incident's reporter, and the address that answers to its mails go to."""
    from django.utils import timezone

    from incidents import actions
    from incidents.models import ReplyAddress
    from portal.models import Membership, User

    found = facts_of_customer()
    person = User.objects.get(email=found["customer"])
    organisation = Membership.objects.get(user=person, organisation=found["organisation"]).organisation
    made = actions.open_incident(
        organisation=organisation, reporter=person, by=person, now=timezone.now() - timedelta(minutes=30),
        channel="portal", title="Mails of the bench", claimed_level="P3",
    )  # fmt: skip
    return person.email, ReplyAddress.objects.get_or_create(incident=made, recipient=person)[0].address


def facts_of_customer() -> dict:
    from django.db.models import Count

    from portal.models import Membership, Organisation

    organisation = Organisation.objects.annotate(n=Count("incidents")).order_by("-n", "pk").first()
    manager = Membership.objects.filter(organisation=organisation, role="manager").order_by("pk")[0].user
    return {"organisation": organisation.pk, "customer": manager.email}


def written(number: int, sender: str, to: str) -> bytes:
    from django.conf import settings

    mail, domain = EmailMessage(), sender.rsplit("@", 1)[-1]
    mail["Authentication-Results"] = f"{settings.MAIL_DOMAIN}; dmarc=pass header.from={domain}"
    mail["From"], mail["To"], mail["Subject"] = sender, to, "Re: Mails of the bench"
    mail["Message-ID"] = f"<{time.time_ns()}@{domain}>"
    mail.set_content(
        f"Reading {number} of {time.time_ns()}: it still fails.\n\nOn Tue, 24 Nov 2026, Support wrote:\n> Any news?\n"
    )
    return mail.as_bytes()


def received(raw: bytes) -> None:
    """Stored and read, as by the pipe. SystemExit if it became no reply."""
    from django.utils import timezone

    from incidents.intake import inbox, mail
    from incidents.models import InboundMessage

    stored = mail.receive(raw, via="pipe", received_at=timezone.now())
    inbox.process(stored.pk, timezone.now())
    stored = InboundMessage.objects.get(pk=stored.pk)
    if stored.outcome != InboundMessage.Outcome.REPLIED:
        raise SystemExit(f"A mail became no reply: {stored.outcome} {stored.state_reason}")


def answered(count: int) -> None:
    """Staff answer as often: each answer is a mail to the customer."""
    from django.utils import timezone

    from incidents import actions
    from incidents.models import Incident
    from portal.models import User

    incident = Incident.objects.order_by("-pk")[0]
    staff = User.objects.filter(staff_role="head_of_support", is_active=True).order_by("pk")[0]
    for number in range(count):
        actions.reply(incident, by=staff, now=timezone.now(), channel="admin", text=f"Answer {number}.")


def sent() -> dict:
    """Sweep the outbox until nothing is left."""
    from django.utils import timezone

    from portal import outbox

    began = time.perf_counter()
    report = outbox.sweep(timezone.now(), channel="email", budget=timedelta(minutes=10))
    took = time.perf_counter() - began
    return {"out": report.sent, "out_a_second": report.sent / took if took else 0}


# --- the sweep ---


def sweep(due: int) -> dict:
    """Run it at the instant at which the clocks of so many incidents need attention; 0: just before the first."""
    from incidents.models import Clock, Incident
    from incidents.sweep import sweep as run

    waiting = Clock.objects.filter(attention_at__isnull=False).order_by("attention_at")
    now = reached(list(waiting.values_list("attention_at", "incident")), due)
    is_open = Incident.objects.unresolved().count()
    run(now - timedelta(days=1))  # the first one loads what the others use, and finds nothing
    took = [seconds(lambda: run(now)) for _ in range(20 if due == 0 else 1)]
    return {"open": is_open, "due": due, "milliseconds": median(took) * 1000}


def reached(waiting: list, due: int):
    """When the so manieth incident needs attention."""
    seen: set[int] = set()
    for at, incident in waiting:
        if not due:
            return at - timedelta(seconds=1)
        seen.add(incident)
        if len(seen) == due:
            return at
    raise SystemExit(f"Only {len(seen)} incidents will ever be due.")


def seconds(work: Callable) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def spread(took: list[float]) -> dict:
    """p50 and p95 in milliseconds."""
    ordered = sorted(took)
    return {"p50": median(ordered) * 1000, "p95": ordered[int(len(ordered) * 0.95)] * 1000}


def main() -> None:
    django.setup()
    what, *numbers = sys.argv[1:]
    print(json.dumps({"facts": facts, "mails": mails, "sweep": sweep}[what](*map(int, numbers))))


if __name__ == "__main__":
    main()
