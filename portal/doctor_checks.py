"""The doctor's checks of the kernel: what the product stands on, in the order in which one would look."""

from __future__ import annotations

import secrets
import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.conf import settings
from django.core import checks
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.mail import get_connection
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from portal import claims, figures, restored, scanning
from portal.celery import app
from portal.channels.email import BACKENDS
from portal.deployment import CONSOLE_BACKENDS
from portal.doctor import FAIL, OK, WARN, Check, Verdict, register_check
from portal.models import CalendarVersion, Organisation, OutboxMessage, User
from portal.timeline import guarded_models, missing_triggers

Verdicts = Iterator[Verdict]

SKEW_WARN, SKEW_FAIL = 1.0, 5.0  # seconds between this machine's clock and the database's
MONTH = timedelta(days=30.4)
HORIZON_WARN, HORIZON_FAIL = 20, 6  # months that calendars reach ahead; 24 are kept by the clockwork
FREE_WARN, FREE_FAIL = 2 * 1024**3, 256 * 1024**2  # bytes
MOST = 10_000  # set-aside messages that are counted
PATIENCE = 3.0  # seconds for a word to come back from the broker


def database(now: datetime) -> Verdicts:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    yield Verdict(OK, f"{connection.vendor} {_version_of_database()}")
    if connection.vendor == "sqlite" and not settings.DEBUG:
        yield Verdict(WARN, "SQLite serves one machine", "Set DATABASE_URL to a PostgreSQL for production.")


def _version_of_database() -> str:
    return ".".join(str(part) for part in connection.get_database_version())


def migrations(now: datetime) -> Verdicts:
    missing = unapplied_migrations()
    if missing:
        yield Verdict(FAIL, f"{len(missing)} not applied: {', '.join(missing[:5])}", "Run manage.py migrate.")
    else:
        yield Verdict(OK, "all are applied")


def unapplied_migrations() -> list[str]:
    """Migrations of this version of the product that the database does not have."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _backwards in plan]


def triggers(now: datetime) -> Verdicts:
    tables = [model._meta.db_table for model in guarded_models()]
    missing = [f"{table}: {name}" for table in tables for name in missing_triggers(connection, table)]
    todo = "Run manage.py migrate: it installs them anew. Until then the timeline can be changed."
    if missing:
        yield Verdict(FAIL, f"missing: {', '.join(missing[:5])}", todo)
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
        yield Verdict(WARN, "pg_trgm is not there: the search finds no words with typing errors", todo)


def broker(now: datetime) -> Verdicts:
    """Leave a word in a queue of its own and take it back: an open port alone proves nothing."""
    word = secrets.token_hex(8)
    options = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, "max_retries": 0}
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
    yield Verdict(OK if said else FAIL, f"{scheme}: a word that was left there came {'back' if said else 'back wrong'}")


def mail(now: datetime) -> Verdicts:
    """Connect, be greeted and sign in, as a worker does. Nothing is sent."""
    if settings.EMAIL_BACKEND.endswith(CONSOLE_BACKENDS):
        state = OK if settings.DEBUG else FAIL
        todo = "" if settings.DEBUG else "Set EMAIL_URL, such as smtp+tls://user:password@smtp.example.com:587."
        yield Verdict(state, "mails are written to files and reach nobody", todo)
        return
    line = get_connection(BACKENDS.get(settings.EMAIL_BACKEND))
    try:
        line.open()
    finally:
        line.close()
    who = f" as {settings.EMAIL_HOST_USER}" if settings.EMAIL_HOST_USER else " without signing in"
    yield Verdict(OK, f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT} lets us in{who}; nothing was sent")


def time(now: datetime) -> Verdicts:
    """This machine's clock beside the database's: every promise is counted by one of them."""
    skew = clock_skew()
    state = FAIL if skew > SKEW_FAIL else WARN if skew > SKEW_WARN else OK
    todo = "Have all machines follow one NTP server: timedatectl set-ntp true (chrony, systemd-timesyncd)."
    words = f"this machine and the database differ by {skew:.1f} s"
    if connection.vendor == "sqlite":
        words = "the database has this machine's clock"
    yield Verdict(state, f"{words}; it is {now:%Y-%m-%d %H:%M:%S} UTC", "" if state == OK else todo)


def clock_skew() -> float:
    """Seconds between this machine's clock and the database's; 0 on SQLite, which has none."""
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        before = datetime.now(UTC)
        cursor.execute("SELECT clock_timestamp()")
        theirs = cursor.fetchone()[0]
    after = datetime.now(UTC)
    return max(0.0, (before - theirs).total_seconds(), (theirs - after).total_seconds())


def zones(now: datetime) -> Verdicts:
    bad = sorted(name for name in zones_in_use() if not _is_known(name))
    edition = version("tzdata")
    if bad:
        todo = "Update tzdata (of the system or of Python), or choose another zone there."
        yield Verdict(FAIL, f"unknown zones in use: {', '.join(bad[:5])} (tzdata {edition})", todo)
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


def holidays(now: datetime) -> Verdicts:
    nearest = CalendarVersion.objects.order_by("covers_until", "pk").first()
    if nearest is None:
        yield Verdict(WARN, "there is no calendar", "Make one on the staff desk, or run manage.py sweep once.")
        return
    months = (nearest.covers_until - now.date()) / MONTH
    state = FAIL if months < HORIZON_FAIL else WARN if months < HORIZON_WARN else OK
    todo = "The clockwork extends calendars each night: see whether it runs, and what its log says of the country."
    words = f"the shortest calendar ({nearest}) reaches to {nearest.covers_until}, {months:.0f} months ahead"
    yield Verdict(state, words, "" if state == OK else todo)


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
    yield Verdict(OK if is_same else FAIL, words if is_same else "what was written there came back changed", todo)
    yield from _free_space(Path(settings.MEDIA_ROOT))


def _free_space(folder: Path) -> Verdicts:
    free = shutil.disk_usage(folder).free
    state = FAIL if free < FREE_FAIL else WARN if free < FREE_WARN else OK
    todo = "" if state == OK else "Make room: without it no file is taken, and no mail is stored."
    yield Verdict(state, f"{free / 1024**3:.1f} GiB are free for uploads", todo)


def heartbeats(now: datetime) -> Verdicts:
    late = [beat for beat in figures.beats(now) if beat.is_late]
    if late:
        words = ", ".join(f"{beat.name} ({_ago(beat.beat_at, now)})" for beat in late)
        todo = "Start worker and clockwork (see docs/operation.md), and read their logs."
        yield Verdict(FAIL, f"late: {words}", todo)
    else:
        yield Verdict(OK, "every sweep ran in time")


def _ago(at: datetime | None, now: datetime) -> str:
    return "never ran" if at is None else f"{(now - at).total_seconds():.0f} s ago"


def outbox(now: datetime) -> Verdicts:
    held = restored.hold_reason(now)
    if held:
        yield Verdict(FAIL, held, "Run manage.py release_outbox where this copy takes the place of the original.")
    lag, limit = claims.lag(now), settings.READY_MAX_OUTBOX_LAG_SECONDS
    todo = "" if lag <= limit else "See whether workers run, and what the mail server answers (check “mail”)."
    yield Verdict(OK if lag <= limit else FAIL, f"the oldest due message waits for {lag:.0f} s", todo)
    aside = OutboxMessage.objects.filter(state=OutboxMessage.State.SET_ASIDE)[:MOST].count()
    if aside:
        todo = "Read their reasons on the staff desk (Outbox, state “Set aside”), mend them, and send again."
        yield Verdict(WARN, f"{aside} messages could not be sent", todo)


def settings_summary(now: datetime) -> Verdicts:
    """What `check --deploy` says, in one place with the rest."""
    found = [each for each in checks.run_checks(include_deployment_checks=True) if each.level >= checks.WARNING]
    for each in found:
        state = WARN if settings.DEBUG or each.level < checks.ERROR else FAIL
        yield Verdict(state, f"{each.id}: {each.msg}", str(each.hint or "See manage.py check --deploy."))
    if not found:
        yield Verdict(OK, "manage.py check --deploy has nothing to say")


def caching(now: datetime) -> Verdicts:
    key, word = f"doctor-{uuid.uuid4().hex}", secrets.token_hex(8)
    cache.set(key, word, 10)
    came_back = cache.get(key) == word
    cache.delete(key)
    if not came_back:
        yield Verdict(FAIL, "nothing comes back from the cache", "Start Redis, or mend CACHE_URL: limits count nothing.")
    elif settings.CACHE_URL or settings.DEBUG:
        yield Verdict(OK, "what is put there comes back")
    else:
        todo = "Set CACHE_URL to a Redis where more than one web process runs: each counts its limits alone."
        yield Verdict(WARN, "the cache is within each process", todo)


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
        yield Verdict(FAIL, "not collected: pages fail", "Run manage.py collectstatic --no-input.")


def register() -> None:
    """Look at these, in this order."""
    for name, look, todo in (
        ("database", database, "Start the database, or mend DATABASE_URL."),
        ("migrations", migrations, "See to the database first, then run manage.py migrate."),
        ("triggers", triggers, "See to the database first, then run manage.py migrate."),
        ("extensions", extensions, "See to the database first."),
        ("broker", broker, "Start the broker, or mend CELERY_BROKER_URL. Nothing is lost: sweeps send later."),
        ("mail", mail, "Mend EMAIL_URL, or ask whoever runs the mail server. Messages wait for up to 24 hours."),
        ("time", time, "See to the database first."),
        ("zones", zones, "See to the database first; then update tzdata."),
        ("holidays", holidays, "See to the database first."),
        ("storage", storage, "Have MEDIA_ROOT exist and be writable for the user that runs web and worker."),
        ("heartbeats", heartbeats, "See to the database first."),
        ("outbox", outbox, "See to the database first."),
        ("settings", settings_summary, "Run manage.py check --deploy."),
        ("cache", caching, "Start Redis, or mend CACHE_URL."),
        ("scanner", scanner, "Start clamd, or mend CLAMAV_URL. Files stay held until it answers."),
        ("static files", static_files, "Run manage.py collectstatic --no-input."),
    ):
        register_check(Check(name, look, todo))
