"""`manage.py export_person EMAIL --to DIR`: one person's data, as they would get it themselves."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from portal import audit, privacy_export
from portal.models import User


class Command(BaseCommand):
    help = "Write one person's data (GDPR art. 15 and 20) as a ZIP into a folder, and print its path."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="the person's e-mail address")
        parser.add_argument("--to", required=True, help="the folder that the ZIP is written to")

    def handle(self, *args: Any, **options: Any) -> None:
        person = User.objects.filter(email=options["email"].strip().lower()).first()
        if person is None:
            raise CommandError(f"Nobody here has the e-mail address {options['email']}.")
        folder, now = Path(options["to"]), timezone.now()
        if not folder.is_dir():
            raise CommandError(f"There is no folder {folder}. Make it first.")
        path = folder / privacy_export.file_name(person, now)
        with path.open("wb") as made:
            path.chmod(0o600)
            privacy_export.write(person, made, now=now)
        audit.record("data_exported", by=None, now=now, subject=f"person/{person.pk}")
        self.stdout.write(str(path))
