"""`manage.py create_api_token EMAIL`: make a token for the API and print it, once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from portal import tokens
from portal.models import ApiToken, Organisation, Service, User
from portal.verbs import Refused

DEFAULT_DAYS = 365
MAX_DAYS = 3650  # who may run this decides


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
        parser.add_argument("--read-only", action="store_true", help="the token may only read (--scope read)")
        parser.add_argument("--scope", choices=ApiToken.Scope.values, default="", help="default: write")
        parser.add_argument("--organisation", default="", help="short name: only for this organisation")
        parser.add_argument("--service", default="", help="short name: only for this service")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the token and nothing else on standard output. CommandError if it cannot be made."""
        days, name = options["days"], options["name"]
        if not 1 <= days <= MAX_DAYS:
            raise CommandError(f"--days must lie between 1 and {MAX_DAYS}, not {days}.")
        if len(name) > 100:
            raise CommandError("--name must have at most 100 characters.")
        scope = options["scope"] or ("read" if options["read_only"] else "write")
        if options["read_only"] and scope != "read":
            raise CommandError("--read-only and --scope say different things. Give one of them.")
        try:
            _made, token = tokens.create(
                person(options["email"]),
                name=name or "manage.py",
                scope=scope,
                days=days,
                now=timezone.now(),
                by=None,
                most_days=MAX_DAYS,
                organisation=named(Organisation, options["organisation"]),
                service=named(Service, options["service"]),
            )
        except Refused as refused:
            raise CommandError(refused.reason) from refused
        self.stdout.write(token)


def named(model: type[Organisation] | type[Service], slug: str) -> Any:
    """The organisation or service by its short name; None for "". CommandError if there is none."""
    found = model._default_manager.filter(slug=slug).first() if slug else None
    if slug and found is None:
        raise CommandError(f"Nothing here has the short name {slug}.")
    return found


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
