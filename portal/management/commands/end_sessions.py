"""`manage.py end_sessions EMAIL` or `--all`: sign a person, or everybody, out of every device at once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.sessions.models import Session
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from portal import sessions
from portal.audit import record
from portal.models import User


class Command(BaseCommand):
    help = "End the sessions of one person, or of everybody. API tokens are not sessions; they are revoked."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", nargs="?", default="", help="the person's e-mail address")
        parser.add_argument("--all", action="store_true", help="everybody's")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"].strip().lower()
        if bool(email) == options["all"]:
            raise CommandError("Say whose: an e-mail address, or --all.")
        people = User.objects.all() if options["all"] else User.objects.filter(email=email)
        if not people:
            raise CommandError(f"Nobody here has the e-mail address {email}.")
        for person in people:
            sessions.end_all(person)
        if options["all"]:
            Session.objects.all().delete()  # whatever the list of devices does not know
        subject = "person/all" if options["all"] else f"person/{people[0].pk}"
        record("sessions_ended", by=None, now=timezone.now(), subject=subject)
