"""`manage.py doctor`: look at everything that the product stands on, and say what to do."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.management.base import BaseCommand, CommandError, no_translations
from django.utils import timezone

from portal import doctor
from portal.channels.email import BACKENDS


class Command(BaseCommand):
    help = "Look at everything that the product stands on, and say what to do. Ends with 1 if anything fails."
    requires_system_checks = []  # it says itself what these say, also while the database is away

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="as one JSON list, for machines")
        parser.add_argument("--mail", metavar="ADDRESS", default="", help="send a test mail there, too")

    @no_translations  # one language for whoever greps and for machines
    def handle(self, *args: Any, **options: Any) -> None:
        """Print each finding as soon as it is there. CommandError (exit 1) if one of them fails."""
        found = []
        for finding in self.findings(options["mail"]):
            found.append(finding)
            if not options["json"]:
                self.say(finding)
        if options["json"]:
            self.stdout.write(json.dumps([vars(finding) for finding in found], ensure_ascii=False, indent=1))
        failed = sorted({finding.check for finding in found if finding.state == doctor.FAILS})
        if failed:
            raise CommandError(f"Not well: {', '.join(failed)}.")

    def findings(self, address: str) -> Any:
        yield from doctor.examine(timezone.now())
        if address:
            yield test_mail(address)

    def say(self, finding: doctor.Finding) -> None:
        self.stdout.write(f"{finding.state:<6}{finding.check:<15}{finding.seen}")
        if finding.todo:
            self.stdout.write(f"{'':<21}→ {finding.todo}")


def test_mail(address: str) -> doctor.Finding:
    """Send one mail by the way that all mails go. What goes wrong fails in the server's words."""
    mail = EmailMessage(
        f"{settings.SUPPORT_BRAND}: test mail",
        "manage.py doctor sent this mail. Whoever reads it knows that mails of the portal arrive.",
        settings.DEFAULT_FROM_EMAIL,
        [address],
        connection=get_connection(BACKENDS.get(settings.EMAIL_BACKEND)),
    )
    try:
        mail.send()
    except Exception as error:  # whatever the server or the address says
        words = doctor.plain(f"{type(error).__name__}: {error}")
        return doctor.Finding("test mail", doctor.FAILS, words, "Mend the address or EMAIL_URL.")
    return doctor.Finding("test mail", doctor.OK, "the mail server took it", "See whether it arrives.")
