"""The doctor's checks of the machines: what the product stands on. They ask others, and take seconds where one is away."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.conf import settings
from django.core import checks
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.mail import get_connection
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from portal import scanning
from portal.celery import app
from portal.channels.email import BACKENDS
from portal.deployment import CONSOLE_BACKENDS
from portal.doctor import FAILS, LOOK, OK, Check, Verdict, register_check
from portal.doctor_figures import skew_verdict
from portal.models import CalendarVersion, Endpoint, IdentityProvider, Organisation, User
from portal.timeline import guarded_models, missing_triggers

Verdicts = Iterator[Verdict]

PATIENCE = 3.0  # seconds for a word to come back from the broker
WORKERS_ANSWER_WITHIN = 2.0  # seconds
GREETED_AT = re.compile(r"\w{3}, +\d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d +(?:[+-]\d{4}|GMT|UTC)", re.ASCII)


def database(now: datetime) -> Verdicts:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    yield Verdict(OK, f"{connection.vendor} {_version_of_database()}")
    if connection.vendor == "sqlite" and not settings.DEBUG:
        yield Verdict(LOOK, "SQLite serves one machine", "Set DATABASE_URL to a PostgreSQL for production.")


def _version_of_database() -> str:
    return ".".join(str(part) for part in connection.get_database_version())


def migrations(now: datetime) -> Verdicts:
    missing = unapplied_migrations()
    if missing:
        yield Verdict(
            FAILS, f"{len(missing)} not applied: {', '.join(missing[:5])}", "Run manage.py migrate."
        )
    else:
        yield Verdict(OK, "all are applied")


def unapplied_migrations() -> list[str]:
    """Migrations of this version of the product that the database does not have."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _backwards in plan]


def indexes(now: datetime) -> Verdicts:
    """On PostgreSQL: one that was cut off while it was built is kept up to date, and used by nobody."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE NOT i.indisvalid AND c.relnamespace = 'public'::regnamespace ORDER BY 1"
        )
        broken = [name for (name,) in cursor.fetchall()]
    if broken:
        todo = f"DROP INDEX CONCURRENTLY {broken[0]}; then run manage.py migrate, or REINDEX it."
        yield Verdict(FAILS, f"not valid: {', '.join(broken[:5])}", todo)
    else:
        yield Verdict(OK, "all are valid")


def triggers(now: datetime) -> Verdicts:
    tables = [model._meta.db_table for model in guarded_models()]
    missing = [f"{table}: {name}" for table in tables for name in missing_triggers(connection, table)]
    todo = "Run manage.py migrate: it installs them anew. Until then the timeline can be changed."
    if missing:
        yield Verdict(FAILS, f"missing: {', '.join(missing[:5])}", todo)
    else:
        yield Verdict(OK, f"{len(tables)} tables can only be added to")


def extensions(now: datetime) -> Verdicts:
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'pg_trgm'")
        found = cursor.fetchone()
    if found:
        yield Verdict(OK, f"pg_trgm {found[0]}")
    else:
        todo = "As the database's owner: CREATE EXTENSION pg_trgm (PostgreSQL's contrib package)."
        yield Verdict(LOOK, "pg_trgm is not there: the search finds no words with typing errors", todo)


def broker(now: datetime) -> Verdicts:
    """Leave a word in a queue of its own and take it back: an open port alone proves nothing."""
    word = secrets.token_hex(8)
    options: dict[str, object] = {
        "socket_timeout": PATIENCE,
        "socket_connect_timeout": PATIENCE,
        "max_retries": 0,
    }
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS | options
    with app.connection_for_write(transport_options=options, connect_timeout=PATIENCE) as line:
        queue = line.SimpleQueue(f"doctor-{uuid.uuid4().hex}")
        try:
            queue.put(word)
            message = queue.get(block=True, timeout=PATIENCE)
            message.ack()
        finally:
            queue.queue.delete()
            queue.close()
    said = message.payload == word
    scheme = line.transport_cls if isinstance(line.transport_cls, str) else "broker"
    yield Verdict(
        OK if said else FAILS, f"{scheme}: a word that was left there came {'back' if said else 'back wrong'}"
    )


def workers(now: datetime) -> Verdicts:
    """Who answers of those that are at work, and whether somebody takes from each queue."""
    found = app.control.inspect(timeout=WORKERS_ANSWER_WITHIN).active_queues() or {}
    if not found:
        yield Verdict(
            FAILS, "no worker answers", "Start the workers: nothing is sent, warned or read without them."
        )
        return
    served = {queue["name"] for queues in found.values() for queue in queues}
    idle = [queue.name for queue in settings.CELERY_TASK_QUEUES if queue.name not in served]
    seen = f"{len(found)} answer: {', '.join(sorted(found)[:5])}"
    if idle:
        todo = f"Start a worker for it: celery -A portal worker -Q {','.join(idle)}."
        yield Verdict(FAILS, f"{seen}; nobody takes from: {', '.join(idle)}", todo)
    else:
        yield Verdict(OK, f"{seen}; every queue is served")


def mail(now: datetime) -> Verdicts:
    """Connect, be greeted (EHLO) and sign in, as a worker does. Nothing is sent."""
    if settings.EMAIL_BACKEND.endswith(CONSOLE_BACKENDS):
        todo = "Set EMAIL_URL, such as smtp+tls://user:password@smtp.example.com:587."
        yield Verdict(LOOK if settings.DEBUG else FAILS, "mails are written to files and reach nobody", todo)
        return
    line = get_connection(BACKENDS.get(settings.EMAIL_BACKEND))
    try:
        line.open()
        greeted = getattr(getattr(line, "connection", None), "greeting", "")
    finally:
        line.close()
    who = f" as {settings.EMAIL_HOST_USER}" if settings.EMAIL_HOST_USER else " without signing in"
    yield Verdict(OK, f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT} lets us in{who}; nothing was sent")
    yield from mail_time(greeted, datetime.now(UTC))


def mail_time(greeting: str, now: datetime) -> Verdicts:
    """Where the server's greeting says what time it is there: nothing else of an SMTP server does."""
    if said := GREETED_AT.search(greeting):
        skew = max(
            0.0, abs((now - parsedate_to_datetime(said[0])).total_seconds()) - 1
        )  # it says whole seconds
        yield skew_verdict(skew, f"this machine and the mail server differ by {skew:.0f} s")


def zones(now: datetime) -> Verdicts:
    bad = sorted(name for name in zones_in_use() if not _is_known(name))
    edition = version("tzdata")
    if bad:
        todo = "Update tzdata (of the system or of Python), or choose another zone there."
        yield Verdict(FAILS, f"unknown zones in use: {', '.join(bad[:5])} (tzdata {edition})", todo)
    else:
        yield Verdict(OK, f"tzdata {edition}, {len(available_timezones())} zones, every one in use is known")


def zones_in_use() -> set[str]:
    found = {settings.TIME_ZONE}
    for model in (User, Organisation, CalendarVersion):
        found |= set(model._default_manager.order_by().values_list("time_zone", flat=True).distinct())
    return found - {""}


def _is_known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def storage(now: datetime) -> Verdicts:
    word = secrets.token_hex(16).encode()
    name = default_storage.save(f"doctor-{uuid.uuid4().hex}", ContentFile(word))
    try:
        with default_storage.open(name) as stored:
            is_same = stored.read() == word
    finally:
        default_storage.delete(name)
    todo = "" if is_same else "See to the disk or the mount that holds MEDIA_ROOT."
    words = "what is written there comes back, and can be deleted"
    yield Verdict(
        OK if is_same else FAILS, words if is_same else "what was written there came back changed", todo
    )


def stored_secrets(now: datetime) -> Verdicts:
    """Whether what is sealed in the database opens with the secrets of this process: a sample of each kind."""
    try:
        for model in (Endpoint, IdentityProvider):
            for order in ("pk", "-pk"):
                model._base_manager.order_by(order).first()
    except ImproperlyConfigured as error:
        yield Verdict(
            FAILS, str(error), "Put the SECRET_KEY under which they were stored into SECRET_KEY_FALLBACKS."
        )
    else:
        yield Verdict(OK, "what is sealed in the database can be read")


def settings_summary(now: datetime) -> Verdicts:
    """What `check --deploy` says, in one place with the rest."""
    found = [
        each for each in checks.run_checks(include_deployment_checks=True) if each.level >= checks.WARNING
    ]
    for each in found:
        state = FAILS if each.level >= checks.ERROR and not settings.DEBUG else LOOK
        yield Verdict(
            state,
            f"{each.id}: {str(each.msg).partition('. ')[0]}",
            str(each.hint or "See manage.py check --deploy."),
        )
    if not found:
        yield Verdict(OK, "manage.py check --deploy has nothing to say")


def caching(now: datetime) -> Verdicts:
    key, word = f"doctor-{uuid.uuid4().hex}", secrets.token_hex(8)
    cache.set(key, word, 10)
    came_back = cache.get(key) == word
    cache.delete(key)
    if not came_back:
        yield Verdict(
            FAILS,
            "nothing comes back from the cache",
            "Start Redis, or mend CACHE_URL: limits count nothing.",
        )
    elif settings.CACHE_URL or settings.DEBUG:
        yield Verdict(OK, "what is put there comes back")
    else:
        todo = "Set CACHE_URL to a Redis where more than one web process runs: each counts its limits alone."
        yield Verdict(LOOK, "the cache is within each process", todo)


def scanner(now: datetime) -> Verdicts:
    if scanning.is_configured():
        scanning.ping()
        yield Verdict(OK, "the scanner answers")


def static_files(now: datetime) -> Verdicts:
    if settings.DEBUG:
        return
    manifest = Path(settings.STATIC_ROOT) / "staticfiles.json"
    if manifest.exists():
        yield Verdict(OK, "collected")
    else:
        yield Verdict(FAILS, "not collected: pages fail", "Run manage.py collectstatic --no-input.")


def register() -> None:
    """Look at these, in this order."""
    for name, look, todo in (
        ("database", database, "Start the database, or mend DATABASE_URL."),
        ("migrations", migrations, "See to the database first, then run manage.py migrate."),
        ("indexes", indexes, "See to the database first."),
        ("triggers", triggers, "See to the database first, then run manage.py migrate."),
        ("extensions", extensions, "See to the database first."),
        (
            "broker",
            broker,
            "Start the broker, or mend CELERY_BROKER_URL. Nothing is lost: sweeps send later.",
        ),
        ("workers", workers, "Start the broker first, then the workers."),
        (
            "mail",
            mail,
            "Mend EMAIL_URL, or ask whoever runs the mail server. Messages wait for up to 24 hours.",
        ),
        ("zones", zones, "See to the database first; then update tzdata."),
        ("storage", storage, "Have MEDIA_ROOT exist and be writable for the user that runs web and worker."),
        ("settings", settings_summary, "Run manage.py check --deploy."),
        ("secrets", stored_secrets, "See to the database first."),
        ("cache", caching, "Start Redis, or mend CACHE_URL."),
        ("scanner", scanner, "Start clamd, or mend CLAMAV_URL. Files stay held until it answers."),
        ("static files", static_files, "Run manage.py collectstatic --no-input."),
    ):
        register_check(Check(name, look, todo))
