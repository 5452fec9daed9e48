"""The pipe of a mail server: one message on standard input, and the answer as an exit status of sysexits.h."""

import sys
from typing import IO, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from incidents.intake import inbox, mail
from incidents.intake.parsed import Unacceptable

EX_DATAERR, EX_UNAVAILABLE, EX_TEMPFAIL = 65, 69, 75
CHUNK = 1024 * 1024


class Command(BaseCommand):
    help = "Store one mail from standard input, then read it: manage.py receive_mail < message.eml"
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 once the mail is stored, 75 when it could not be, 65 or 69 when it is refused for ever."""
        received_at = timezone.now()
        raw = read_bounded(sys.stdin.buffer, settings.MAIL_MAX_BYTES)
        try:
            message = mail.receive(raw, via="pipe", received_at=received_at)
        except Unacceptable as refused:
            raise CommandError(
                str(refused), returncode=EX_UNAVAILABLE if raw.strip() else EX_DATAERR
            ) from refused
        except Exception as error:  # the database or the disk: the mail server keeps the mail and comes again
            raise CommandError(f"not stored, try again: {error}", returncode=EX_TEMPFAIL) from error
        self._read_now(message.pk)

    def _read_now(self, pk: int) -> None:
        """It is stored, so whatever happens now is no matter of the mail server: the sweep reads it later."""
        try:
            inbox.process(pk, timezone.now())
        except Exception as error:
            self.stderr.write(f"stored, and read later: {error}")


def read_bounded(stream: IO[bytes], limit: int) -> bytes:
    """At most one byte more than `limit`, and the rest thrown away: the mail server is not left hanging."""
    raw = stream.read(limit + 1)
    while len(raw) > limit and stream.read(CHUNK):
        pass
    return raw
