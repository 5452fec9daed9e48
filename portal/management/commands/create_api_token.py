"""`manage.py create_api_token EMAIL`: make a token for the API and print it, once."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from portal.audit import record_of_person
from portal.models import ApiToken, User

DEFAULT_DAYS = 365
MAX_DAYS = 3650


class Command(BaseCommand):
    help = (
        "Make an API token for a person and print it. It is stored hashed: this is the only time it is shown."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="the person's e-mail address")
        parser.add_argument("--name", default="", help="what the token is for, such as “monitoring”")
        parser.add_argument(
            "--days", type=int, default=DEFAULT_DAYS, help=f"days until it expires (default {DEFAULT_DAYS})"
        )
        parser.add_argument("--read-only", action="store_true", help="the token may only read")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the token and nothing else on standard output. CommandError if it cannot be made."""
        days, name = options["days"], options["name"]
        if not 1 <= days <= MAX_DAYS:
            raise CommandError(f"--days must lie between 1 and {MAX_DAYS}, not {days}.")
        if len(name) > 100:
            raise CommandError("--name must have at most 100 characters.")
        scope = ApiToken.Scope.READ if options["read_only"] else ApiToken.Scope.WRITE
        expiry = timedelta(days=days)
        owner = person(options["email"])
        with transaction.atomic():
            made, token = ApiToken.objects.create(owner, expiry=expiry, name=name, scope=scope)
            facts = {"scope": str(scope), "person": owner.pk, "days": days}
            about = {"by": None, "now": timezone.now(), "subject": f"token/{made.digest[:12]}"}
            record_of_person("token_created", owner, facts=facts, **about)
        self.stdout.write(token)


def person(email: str) -> User:
    """The active person of that address, in any case. CommandError if there is none."""
    found = User.objects.filter(email=email.strip().lower()).first()
    if found is None:
        raise CommandError(f"Nobody here has the e-mail address {email}. Add the person in the admin first.")
    if not found.is_active:
        raise CommandError(
            f"{email} is not active and gets no token. Activate the person in the admin first."
        )
    return found
