"""A window as people read it: its state, what is promised next and by when, and the services of the reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.utils.translation import gettext as _

from maintenance import standard
from maintenance.models import (
    Consent,
    MaintenanceWindow,
    RollbackCondition,
    Status,
    WindowService,
    WindowStep,
)
from maintenance.models.window import OVER, WindowQuerySet
from portal.models import Organisation, ServiceSubscription, User
from portal.standard_form import StandardForm

LOOKS = {
    Status.DRAFT: "paused",
    Status.PROPOSED: "warned",
    Status.APPROVED: "plain",
    Status.ANNOUNCED: "maintenance",
    Status.IN_PROGRESS: "maintenance",
    Status.OVERRUN: "breached",
    Status.ROLLING_BACK: "warned",
    Status.VERIFYING: "maintenance",
    Status.COMPLETED: "met",
    Status.ROLLED_BACK: "warned",
    Status.CANCELLED: "cancelled",
}
# Of the sprite; what has no drawing of its own says its state in words only.
ICONS = {
    Status.IN_PROGRESS: "running",
    Status.OVERRUN: "breached",
    Status.ROLLING_BACK: "replaced",
    Status.VERIFYING: "running",
    Status.COMPLETED: "met",
    Status.ROLLED_BACK: "replaced",
    Status.CANCELLED: "cancelled",
}
CONDITION_LOOKS = {"unchecked": "paused", "clear": "met", "met": "breached"}
CONSENT_LOOKS = {"open": "warned", "given": "met", "refused": "breached", "overridden": "warned"}


@dataclass(frozen=True)
class Promise:
    """Something that is to happen at a time: “ends by”, “next update by”. UTC."""

    label: str
    at: datetime
    is_late: bool = False


def promises(window: MaintenanceWindow, now: datetime) -> list[Promise]:
    """What is promised of the window at `now`, the late and the next first; none once it is over."""
    if window.status in OVER:
        return []
    if not window.is_running:
        late = window.starts_at <= now
        return [Promise(_("was to start") if late else _("starts"), window.starts_at, late)]
    found = [*_ends(window, now), *_updates(window, now)]
    waits = window.status in (Status.IN_PROGRESS, Status.OVERRUN) and not window.decision
    if waits and now < window.rollback_decision_at:
        found.append(Promise(_("go on or roll back: decided by"), window.rollback_decision_at))
    return sorted(found, key=lambda promise: (not promise.is_late, promise.at))


def _ends(window: MaintenanceWindow, now: datetime) -> list[Promise]:
    if window.overrun_at is None:
        is_late = window.ends_at <= now
        return [Promise(_("was to end") if is_late else _("ends by"), window.ends_at, is_late)]
    late = [Promise(_("was to end"), window.overrun_at, is_late=True)]
    if window.ends_at > max(now, window.overrun_at):
        late.append(Promise(_("now expected to end by"), window.ends_at))
    return late


def _updates(window: MaintenanceWindow, now: datetime) -> list[Promise]:
    at = window.next_update_at
    if at is None:
        return []
    return [Promise(_("next update was due") if at <= now else _("next update by"), at, at <= now)]


@dataclass(frozen=True)
class Headline:
    """The first line: state in words, owner, the next promise with its time."""

    status_word: str
    look: str
    icon: str
    owner: str
    promise: Promise | None


def headline(window: MaintenanceWindow, now: datetime) -> Headline:
    return Headline(
        status_word=window.get_status_display(),
        look=LOOKS[Status(window.status)],
        icon=ICONS.get(Status(window.status), ""),
        owner=window.owner.get_full_name(),
        promise=next(iter(promises(window, now)), None),
    )


# --- what the reader may read of it ---


def affected_for(organisations: QuerySet[Organisation] | None) -> QuerySet[WindowService]:
    """Affected services, cut to those that the organisations use; None: all of them, for staff."""
    found = WindowService.objects.select_related("service")
    if organisations is None:
        return found
    used = ServiceSubscription.objects.filter(organisation__in=organisations.order_by())
    return found.filter(service__in=used.values("service"))


def organisations_of(user: User) -> QuerySet[Organisation] | None:
    """Whose services the reader reads of; None for staff who read of all."""
    return None if user.is_unlimited else Organisation.objects.visible_to(user)


def rows_for(windows: WindowQuerySet, organisations: QuerySet[Organisation] | None) -> QuerySet[Any]:
    """The windows with `shown_services` and `is_asking` (an open consent), in a constant number of queries."""
    asked = Consent.objects.open().filter(window=OuterRef("pk"))
    if organisations is not None:
        asked = asked.filter(organisation__in=organisations.order_by())
    shown = Prefetch("affected", queryset=affected_for(organisations), to_attr="shown_services")
    return windows.select_related("owner").prefetch_related(shown).annotate(is_asking=Exists(asked))


def form_of(
    window: MaintenanceWindow, organisations: QuerySet[Organisation] | None, now: datetime
) -> StandardForm:
    """The window in the standard format, cut to what these organisations may read; None: for staff."""
    readers = None if organisations is None else list(organisations)
    return standard.window_form(window, readers, at=now)


def running_for(user: User, organisation: Organisation | None = None) -> list[MaintenanceWindow]:
    """The windows that run now on services of the user (or of one organisation of theirs), for banners."""
    windows = MaintenanceWindow.objects.visible_to(user).running()
    organisations = organisations_of(user)
    if organisation is not None:
        windows = windows.filter(involved__organisation=organisation)
        organisations = Organisation.objects.filter(pk=organisation.pk)
    return list(rows_for(windows.order_by("starts_at", "pk"), organisations))


def upcoming_for(user: User) -> list[MaintenanceWindow]:
    """The next announced windows on services of the user."""
    windows = MaintenanceWindow.objects.visible_to(user).upcoming().order_by("starts_at", "pk")
    return list(rows_for(windows, organisations_of(user))[:10])


@dataclass(frozen=True)
class Progress:
    """How far the steps are."""

    done: int
    total: int

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 0


def progress(steps: Sequence[WindowStep]) -> Progress:
    return Progress(sum(step.done_at is not None for step in steps), len(steps))


def condition_rows(window: MaintenanceWindow) -> list[dict[str, Any]]:
    """Each rollback condition with the look of its state."""
    found: QuerySet[RollbackCondition] = window.conditions.select_related("checked_by")
    return [{"condition": condition, "look": CONDITION_LOOKS[condition.state]} for condition in found]


def consent_question(consent: Consent) -> str:
    """What the customer is asked, in a sentence of its own. Freezes are named by the template, from their rows."""
    if consent.reason == Consent.Reason.SHORT_NOTICE:
        return _("This maintenance is announced with less notice than your plan promises. Do you agree?")
    if consent.reason == Consent.Reason.FREEZE:
        return _("This maintenance falls into a time in which you asked for none. Do you agree all the same?")
    return consent.get_reason_display()
