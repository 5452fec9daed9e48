"""`manage.py create_alarm_source NAME --kind KIND --organisation SLUG`: make a source of alarms, print its token."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from incidents.models import AlarmSource
from portal.models import Organisation, Service


class Command(BaseCommand):
    help = (
        "Make an alarm source and print its token. It is stored hashed: this is the only time it is shown. "
        "Send alarms to /api/v1/alarms/KIND/ with the header Authorization: Bearer TOKEN."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what people call the source, such as “Prometheus of Acme”")
        parser.add_argument(
            "--kind", required=True, choices=AlarmSource.Kind.values, help="the format it sends"
        )
        owner = parser.add_mutually_exclusive_group(required=True)
        owner.add_argument("--organisation", metavar="SLUG", help="whose monitoring it is")
        owner.add_argument("--service", metavar="SLUG", help="the service that it watches for all who use it")
        parser.add_argument(
            "--heartbeat-minutes", type=int, metavar="N", help="silent for longer than N minutes is an alarm"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the token and nothing else on standard output. CommandError if it cannot be made."""
        source = AlarmSource(
            name=options["name"],
            kind=options["kind"],
            organisation=_found(Organisation, options["organisation"]),
            service=_found(Service, options["service"]),
            heartbeat_minutes=options["heartbeat_minutes"],
        )
        token = source.make_token()
        try:
            source.full_clean()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        source.save()
        self.stdout.write(token)


def _found(model: Any, slug: str | None) -> Any:
    """The row of that short name; CommandError if there is none."""
    if slug is None:
        return None
    found = model.objects.filter(slug=slug).first()
    if found is None:
        raise CommandError(f"There is no {model._meta.model_name} with the short name {slug}.")
    return found
