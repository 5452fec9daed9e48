"""The kernel's figures: outbox, heartbeats, seals and endpoints. `/metrics`, the operations page and the doctor
read these same functions.

Messages that were sent are counted for the last hour only: all of them would be a count of ten years.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Count, Min
from django.utils.translation import gettext as _

from portal import audit_seal, outbox
from portal.channels.base import EMAIL
from portal.metrics import Gauge, Pairs, register_gauge
from portal.models import Endpoint, Heartbeat, OutboxMessage

State = OutboxMessage.State
HOUR, DAY_SECONDS = timedelta(hours=1), 24 * 60 * 60
# What must run in every installation, and how often at the least (seconds); each name is that of a heartbeat.
RUNS = {
    "clocks": 0,
    "outbox": 0,
    "webhooks": 0,
    "inbox": 0,
    "maintenance": 0,
    "status": 0,
    "announcements": 0,
    "retention": DAY_SECONDS + 7200,
}
NO_SWEEPS = frozenset({"scanner", "scanner asked"})  # when somebody else was asked, and answered


@dataclass(frozen=True)
class Waiting:
    """Messages of one state and channel: how many, and since when the oldest of them is due."""

    state: str
    channel: str
    count: int
    due_since: datetime | None

    @property
    def label(self) -> str:
        return str(State(self.state).label)

    @property
    def way(self) -> str:
        return _("E-mail") if self.channel == EMAIL else _("Webhook")


def waiting(now: datetime) -> list[Waiting]:
    """What is queued, being sent or set aside, by state and channel; what is due later has no `due_since`."""
    rows = OutboxMessage.objects.filter(state__in=[State.QUEUED, State.CLAIMED, State.SET_ASIDE])
    grouped = rows.order_by().values_list("state", "channel").annotate(Count("pk"), Min("next_attempt_at"))
    found = [
        Waiting(state, channel, count, first if state != State.SET_ASIDE and first <= now else None)
        for state, channel, count, first in grouped
    ]
    return sorted(found, key=lambda one: (State.values.index(one.state), one.channel))


def ended_last_hour(now: datetime) -> Iterator[tuple[dict[str, str], float]]:
    """Messages made within the last hour that were sent or dropped, by state."""
    rows = OutboxMessage.objects.filter(state__in=[State.SENT, State.DROPPED], created_at__gt=now - HOUR)
    for state, count in rows.order_by().values_list("state").annotate(Count("pk")):
        yield {"state": state}, count


@dataclass(frozen=True)
class Beat:
    """When a piece of the clockwork last ran, and how many seconds it may be silent; None: it is not asked for here."""

    name: str
    beat_at: datetime | None
    limit: float | None
    is_late: bool


def beats(now: datetime) -> list[Beat]:
    """Each piece of the clockwork that runs here, by name; late is what should have run since it last did.

    What never ran has its time from when the database was brought to this release: the nightly pieces of a new
    installation are not late before their first night.
    """
    known, limits = dict(Heartbeat.objects.values_list("name", "beat_at")), limits_here()
    since = migrated_at() if limits.keys() - known.keys() else None
    names = sorted({*limits, *known} - NO_SWEEPS)
    return [
        Beat(name, known.get(name), limits.get(name), _is_late(known.get(name, since), limits.get(name), now))
        for name in names
    ]


def migrated_at() -> datetime | None:
    """When the newest migration was applied; None where that is not on record."""
    applied = MigrationRecorder(connection).applied_migrations().values()
    return max((each.applied for each in applied), default=None)


def limits_here() -> dict[str, float]:
    """How many seconds each piece that must run in this installation may be silent."""
    return {
        name: seconds or settings.READY_MAX_SWEEP_AGE_SECONDS
        for name, seconds in (RUNS | expected_here()).items()
    }


def expected_here() -> dict[str, float]:
    """What runs only where the settings ask for it, with its longest pause in seconds."""
    wanted = {}
    if settings.IMAP_URL:
        wanted["mailbox"] = max(settings.READY_MAX_SWEEP_AGE_SECONDS, 4 * settings.IMAP_POLL_SECONDS)
    if settings.CLAMAV_URL:
        wanted["scans"] = settings.READY_MAX_SWEEP_AGE_SECONDS
    return wanted


def _is_late(since: datetime | None, limit: float | None, now: datetime) -> bool:
    if limit is None:  # switched off since: its last beat is history
        return False
    return since is None or (now - since).total_seconds() > limit


def unsealed_seconds(now: datetime) -> float:
    """The age of the oldest entry of the audit that no seal covers; 0 if all are sealed."""
    entries = audit_seal.sealed_models()[0]
    rows = entries._base_manager.filter(pk__gt=audit_seal.sealed_until(entries)).order_by("pk")
    oldest = rows.values_list("at", flat=True).first()
    return max(0.0, (now - oldest).total_seconds()) if oldest else 0.0


def failing_endpoints() -> int:
    """Endpoints in use that do not take what is sent to them."""
    return Endpoint.objects.filter(is_active=True, disabled_at=None, failing_since__isnull=False).count()


# --- as gauges ---


def _messages(now: datetime) -> Pairs:
    for one in waiting(now):
        yield {"state": one.state, "channel": one.channel}, one.count


def _oldest_due(now: datetime) -> Pairs:
    oldest: dict[str, float] = {}
    for one in waiting(now):
        age = (now - one.due_since).total_seconds() if one.due_since else 0.0
        oldest[one.channel] = max(oldest.get(one.channel, 0.0), age)
    for channel, age in oldest.items():
        yield {"channel": channel}, age


def _ages(now: datetime) -> Pairs:
    for beat in beats(now):
        if beat.beat_at is not None:
            yield {"name": beat.name}, max(0.0, (now - beat.beat_at).total_seconds())


def _late(now: datetime) -> Pairs:
    return [({"name": beat.name}, float(beat.is_late)) for beat in beats(now)]


GAUGES = [
    Gauge("portal_outbox_messages", "Messages that wait or are set aside.", _messages),
    Gauge("portal_outbox_ended_last_hour", "Messages of the last hour that ended.", ended_last_hour),
    Gauge("portal_outbox_oldest_due_seconds", "How long the oldest due message waits.", _oldest_due),
    Gauge(
        "portal_outbox_lag_seconds",
        "The same without webhooks whose receivers fail: how late this product is.",
        lambda now: [({}, outbox.lag(now))],
    ),
    Gauge("portal_heartbeat_age_seconds", "Seconds since a piece of the clockwork ran.", _ages),
    Gauge("portal_heartbeat_late", "1 where it should have run again since.", _late),
    Gauge(
        "portal_audit_unsealed_seconds",
        "Age of the oldest entry of the audit without a seal.",
        lambda now: [({}, unsealed_seconds(now))],
    ),
    Gauge(
        "portal_endpoints_failing",
        "Endpoints that do not take what is sent.",
        lambda now: [({}, failing_endpoints())],
    ),
]


def register() -> None:
    """Make the kernel's figures known to `/metrics`."""
    for gauge in GAUGES:
        register_gauge(gauge)
