"""Serve everything: web, worker and clockwork under one supervisor."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from typing import Any

import environ
from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from portal.models import Organisation
from portal.supervisor import GRACE_SECONDS, Child, Supervisor

DATABASE_WAIT_SECONDS = 30
DEFAULT_PORT = 8000
LAST_PORT = 65535


class Command(BaseCommand):
    help = "Migrate, load the demo into an empty development database, and serve web, worker and clockwork."
    requires_system_checks = "__all__"

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            port = self.port()
            self.refuse_taken(port)
            self.prepare()
            self.greet(port)
        except KeyboardInterrupt as interrupt:
            raise CommandError("Stopped before anything was served.", returncode=130) from interrupt
        connection.close()
        sys.exit(Supervisor(self.children(port), out=self.say).run())

    def prepare(self) -> None:
        self.wait_for_database()
        call_command("migrate", interactive=False, verbosity=0)
        if settings.DEBUG:
            self.load_demo()
        else:
            call_command("collectstatic", interactive=False, verbosity=0)

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def port(self) -> int:
        """PORT of the environment, or 8000."""
        said = environ.Env().str("PORT", default="").strip() or str(DEFAULT_PORT)
        number = int(said) if said.isascii() and said.isdecimal() and len(said) <= 5 else 0
        if not 0 < number <= LAST_PORT:
            raise CommandError(
                f"“{said[:20]}” is not a port. Choose a number up to {LAST_PORT}: PORT=8001 make run"
            )
        return number

    def refuse_taken(self, port: int) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                reason = (
                    "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
                )
                another = port + 1 if 1024 <= port < LAST_PORT else DEFAULT_PORT + 1
                raise CommandError(
                    f"Port {port} {reason}. Choose another one: PORT={another} make run"
                ) from error

    def wait_for_database(self) -> None:
        deadline = time.monotonic() + DATABASE_WAIT_SECONDS
        while True:
            try:
                connection.ensure_connection()
                return
            except OperationalError as error:
                if time.monotonic() > deadline:
                    raise CommandError(f"The database does not answer: {error}") from error
                time.sleep(0.5)

    def load_demo(self) -> None:
        if "load_demo" in get_commands() and not Organisation.objects.exists():
            self.say("Loading the demo ...")
            call_command("load_demo")

    def greet(self, port: int) -> None:
        from portal.demo import DEMO_LOGINS, DEMO_PASSWORD  # noqa: PLC0415 (only development shows them)

        self.say(f"\n{settings.SUPPORT_BRAND} is at http://127.0.0.1:{port}/  (staff desk: /admin/)")
        if settings.DEBUG:
            self.say(f"Demo logins, all with the password {DEMO_PASSWORD}")
            for email, who in DEMO_LOGINS:
                self.say(f"  {email:<28} {who}")
        if settings.EMAIL_BACKEND.endswith("filebased.EmailBackend"):
            self.say(
                f"Mails land in the outbox (/admin/portal/outboxmessage/) and under {settings.EMAIL_FILE_PATH}"
            )
        self.say("Ctrl-C ends everything.\n")

    def children(self, port: int) -> list[Child]:
        python = [sys.executable, "-m"]
        celery = [*python, "celery", "-A", "portal"]
        schedule = settings.CELERY_BEAT_SCHEDULE_FILENAME
        os.environ.setdefault("WORKER_STOP_SECONDS", str(GRACE_SECONDS - 2))
        return [
            Child("web", [*python, "gunicorn", "portal.wsgi", *self.gunicorn(port)]),
            Child(
                "worker",
                [
                    *celery,
                    "worker",
                    "-l",
                    "WARNING",
                    "--without-mingle",
                    "--without-gossip",
                ],
            ),
            Child("clockwork", [*celery, "beat", "-l", "WARNING", "-s", schedule, "--pidfile="]),
        ]

    def gunicorn(self, port: int) -> list[str]:
        return [
            *["--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "8"],
            *["--log-level", "warning", "--graceful-timeout", "5", "--keep-alive", "5"],
        ]
