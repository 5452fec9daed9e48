"""The window's append-only timeline. Each kind of event declares its payload; payloads hold ids and facts."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext_lazy as _

from maintenance.models.window import MaintenanceWindow
from portal.models import User
from portal.timeline import Payload as Payload
from portal.timeline import Payloads, StatusChange, TimelineEvent, declaring

PAYLOADS: Payloads = {}
payload = declaring(PAYLOADS)


class WindowEventQuerySet(models.QuerySet["WindowEvent"]):
    def visible_to(self, user: User) -> WindowEventQuerySet:
        """Events of the user's windows; customers read the public ones of the time since the announcement."""
        windows = MaintenanceWindow.objects.visible_to(user)
        if user.is_authenticated and user.is_unlimited:
            return self.filter(window__in=windows)
        return self.filter(window__in=windows, is_public=True, at__gte=models.F("window__announced_at"))


class WindowEvent(TimelineEvent):
    """One fact about a maintenance window."""

    window = models.ForeignKey(
        MaintenanceWindow, models.PROTECT, related_name="events", verbose_name=_("maintenance window")
    )

    payloads = PAYLOADS

    objects = WindowEventQuerySet.as_manager()

    class Meta(TimelineEvent.Meta):
        abstract = False
        verbose_name = _("event")
        verbose_name_plural = _("timeline")
        indexes = [models.Index(fields=["window", "id"], name="window_event_by_window")]


@dataclass(frozen=True, kw_only=True)
class Timed(StatusChange):
    """Events that tell the calendars something new: what is agreed from then on, and its version."""

    starts_at: str
    ends_at: str
    sequence: int


# --- until it is announced; the customer reads nothing of it ---


@payload
@dataclass(frozen=True, kw_only=True)
class Drafted(StatusChange):
    kind = "drafted"
    is_public = False
    previous_attempt: int | None = None


@payload
@dataclass(frozen=True, kw_only=True)
class Changed(Payload):
    kind = "changed"
    is_public = False
    fields: list[str]


@payload
@dataclass(frozen=True, kw_only=True)
class Proposed(StatusChange):
    kind = "proposed"
    is_public = False


@payload
@dataclass(frozen=True, kw_only=True)
class ReturnedToDraft(StatusChange):
    kind = "returned_to_draft"
    is_public = False
    post: int


@payload
@dataclass(frozen=True, kw_only=True)
class Approved(StatusChange):
    kind = "approved"
    is_public = False


# --- what is agreed ---


@payload
@dataclass(frozen=True, kw_only=True)
class Announced(Timed):
    kind = "announced"


@payload
@dataclass(frozen=True, kw_only=True)
class Moved(Timed):
    kind = "moved"
    starts_from: str
    ends_from: str
    post: int


@payload
@dataclass(frozen=True, kw_only=True)
class Cancelled(Timed):
    """`because` is "decided" (the post says why) or "never_started"."""

    kind = "cancelled"
    because: str = "decided"
    post: int | None = None


@payload
@dataclass(frozen=True, kw_only=True)
class Invited(Payload):
    """People who were invited after the announcement: they joined since, or want to hear of it since."""

    kind = "invited"
    is_public = False
    people: list[int]


@payload
@dataclass(frozen=True, kw_only=True)
class Reminded(Payload):
    kind = "reminded"
    is_public = False
    organisations: list[int]
    minutes: int
    starts_at: str


# --- consents: each is read by its own organisation, so none of these is public ---


@dataclass(frozen=True, kw_only=True)
class AboutConsent(Payload):
    is_public = False
    consent: int


@payload
@dataclass(frozen=True, kw_only=True)
class ConsentAsked(AboutConsent):
    kind = "consent_asked"


@payload
@dataclass(frozen=True, kw_only=True)
class ConsentGiven(AboutConsent):
    kind = "consent_given"


@payload
@dataclass(frozen=True, kw_only=True)
class ConsentRefused(AboutConsent):
    kind = "consent_refused"


@payload
@dataclass(frozen=True, kw_only=True)
class ConsentOverridden(AboutConsent):
    kind = "consent_overridden"


@payload
@dataclass(frozen=True, kw_only=True)
class ConsentResolved(AboutConsent):
    kind = "consent_resolved"


@payload
@dataclass(frozen=True, kw_only=True)
class InvitationAnswered(Payload):
    kind = "invitation_answered"
    is_public = False
    invitation: int
    answer: str
    sequence: int | None = None


# --- while it runs ---


@payload
@dataclass(frozen=True, kw_only=True)
class StartHeld(Payload):
    """It should have started and did not, for these consents are missing."""

    kind = "start_held"
    is_public = False
    starts_at: str
    consents: list[int]


@payload
@dataclass(frozen=True, kw_only=True)
class Started(StatusChange):
    kind = "started"


@payload
@dataclass(frozen=True, kw_only=True)
class StepTicked(Payload):
    kind = "step_ticked"
    is_public = False
    step: int
    is_done: bool


@payload
@dataclass(frozen=True, kw_only=True)
class ConditionChecked(Payload):
    kind = "condition_checked"
    is_public = False
    condition: int
    is_met: bool


@payload
@dataclass(frozen=True, kw_only=True)
class DecisionAsked(Payload):
    kind = "decision_asked"
    is_public = False


@payload
@dataclass(frozen=True, kw_only=True)
class DecisionLapsed(Payload):
    """Ten minutes after the question nobody had decided."""

    kind = "decision_lapsed"
    is_public = False


@payload
@dataclass(frozen=True, kw_only=True)
class Decided(Payload):
    kind = "decided"
    is_public = False
    decision: str
    post: int


@payload
@dataclass(frozen=True, kw_only=True)
class ExtensionAsked(Payload):
    kind = "extension_asked"
    is_public = False
    until: str
    post: int


@payload
@dataclass(frozen=True, kw_only=True)
class ExtensionRefused(Payload):
    kind = "extension_refused"
    is_public = False
    until: str
    post: int


@payload
@dataclass(frozen=True, kw_only=True)
class Extended(Timed):
    """`is_planned` is false after an overrun: then only the expected end is told."""

    kind = "extended"
    ends_from: str
    asked_by: int | None
    post: int | None
    is_planned: bool


@payload
@dataclass(frozen=True, kw_only=True)
class Overran(StatusChange):
    kind = "overran"
    ends_at: str


@payload
@dataclass(frozen=True, kw_only=True)
class ExpectedEndPassed(Payload):
    """After an overrun the expected end was told anew, and passed as well."""

    kind = "expected_end_passed"
    is_public = False
    ends_at: str


@payload
@dataclass(frozen=True, kw_only=True)
class RollbackOrdered(StatusChange):
    kind = "rollback_ordered"
    post: int


@payload
@dataclass(frozen=True, kw_only=True)
class VerificationBegan(StatusChange):
    kind = "verification_began"


@payload
@dataclass(frozen=True, kw_only=True)
class Ended(Timed):
    """Completed or rolled back; `ends_at` is the true end."""

    kind = "ended"


@payload
@dataclass(frozen=True, kw_only=True)
class Posted(Payload):
    kind = "posted"
    post: int


@payload
@dataclass(frozen=True, kw_only=True)
class NoteAdded(Payload):
    kind = "note_added"
    is_public = False
    post: int


@payload
@dataclass(frozen=True, kw_only=True)
class AlarmRecorded(Payload):
    kind = "alarm_recorded"
    is_public = False
    alarm: int


@payload
@dataclass(frozen=True, kw_only=True)
class AlarmResolved(Payload):
    kind = "alarm_resolved"
    is_public = False
    alarm: int
