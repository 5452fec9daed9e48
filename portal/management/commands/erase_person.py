"""`manage.py erase_person EMAIL --by ADMINISTRATOR --reason TEXT`: forget a person, where a page would take too long."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from portal import privacy_verbs
from portal.models import User
from portal.verbs import Refused


class Command(BaseCommand):
    help = (
        "Replace a person's name and addresses everywhere by a pseudonym. Cannot be undone; may be repeated."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="the person's e-mail address")
        parser.add_argument("--by", required=True, help="the e-mail address of the administrator who answers")
        parser.add_argument("--reason", default="", help="who asked for it and when, without the name")
        parser.add_argument("--also", action="append", default=[], help="a further name of theirs")
        parser.add_argument("--delete-files", action="store_true", help="delete what they attached")
        parser.add_argument("--preview", action="store_true", help="only count, and write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        given = {"by": found(options["by"]), "now": timezone.now(), "also": options["also"]}
        given["are_files_deleted"] = options["delete_files"]
        try:
            if options["preview"]:
                counts = privacy_verbs.preview(found(options["email"]), **given)
            else:
                counts = privacy_verbs.erase(
                    found(options["email"]), reason=options["reason"], **given
                ).counts
        except Refused as refused:
            raise CommandError(refused.reason) from refused
        for label, number in counts.items():
            self.stdout.write(f"{label}: {number}")


def found(email: str) -> User:
    person = User.objects.filter(email=email.strip().lower()).first()
    if person is None:
        raise CommandError(f"Nobody here has the e-mail address {email}.")
    return person
