"""The window's timeline as people read it: facts in sentences, posts in their writers' words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from maintenance.models import (
    Consent,
    Decision,
    Invitation,
    MaintenanceWindow,
    RollbackCondition,
    Status,
    WindowAlarm,
    WindowEvent,
    WindowPost,
    WindowStep,
)
from maintenance.models.window import INTERNAL
from portal.models import User
from portal.templatetags.portal_tags import duration, moment, period_text


@dataclass(frozen=True)
class TimelineItem:
    """One entry: a sentence about a fact, with the words that belong to it."""

    event_id: int
    kind: str
    at: datetime
    who: str
    is_internal: bool
    sentence: str
    status_from: str = ""
    status_to: str = ""
    post: WindowPost | None = None

    @property
    def look(self) -> str:
        """Internal words, words, or a fact that nobody wrote."""
        if self.post is None:
            return "fact"
        return "internal" if self.is_internal else "words"


@dataclass(frozen=True)
class Change:
    """The agreed time before and after a move or an extension; `reason` is what was written about it."""

    at: datetime
    is_extension: bool
    starts_from: datetime | None
    ends_from: datetime
    starts_at: datetime
    ends_at: datetime
    reason: str


def timeline_items(window: MaintenanceWindow, user: User) -> list[TimelineItem]:
    """What `user` may read of the window's timeline, oldest first, in a constant number of queries."""
    events = list(
        WindowEvent.objects.visible_to(user).filter(window=window).select_related("by").order_by("pk")
    )
    found = Found(events, user)
    return [item_of(event, found) for event in events]


def changes(window: MaintenanceWindow, user: User) -> list[Change]:
    """Each change of the agreed time that `user` may read, oldest first."""
    events = list(
        WindowEvent.objects.visible_to(user)
        .filter(window=window, kind__in=["moved", "extended"])
        .order_by("pk")
    )
    found = Found(events, user)
    return [_change(event, found) for event in events]


def _change(event: WindowEvent, found: Found) -> Change:
    facts = event.payload
    post = found.post(facts)
    return Change(
        at=event.at,
        is_extension=event.kind == "extended",
        starts_from=at(facts["starts_from"]) if "starts_from" in facts else None,
        ends_from=at(facts["ends_from"]),
        starts_at=at(facts["starts_at"]),
        ends_at=at(facts["ends_at"]),
        reason=post.text if post else "",
    )


Facts = dict[str, Any]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Found:
    """The rows that events name, fetched once per kind. A customer finds public posts only."""

    def __init__(self, events: list[WindowEvent], user: User) -> None:
        def rows(queryset: Any, name: str) -> dict[int, Any]:
            wanted = {event.payload.get(name) for event in events} - {None}
            return queryset.in_bulk(wanted) if wanted else {}

        posts = WindowPost.objects.select_related("author")
        self.posts = rows(posts if user.is_unlimited else posts.filter(is_public=True), "post")
        self.steps = rows(WindowStep.objects.all(), "step")
        self.conditions = rows(RollbackCondition.objects.all(), "condition")
        self.consents = rows(Consent.objects.select_related("organisation"), "consent")
        self.invitations = rows(Invitation.objects.select_related("person"), "invitation")
        self.alarms = rows(WindowAlarm.objects.all(), "alarm")
        self.windows = rows(MaintenanceWindow.objects.visible_to(user), "previous_attempt")

    def post(self, facts: dict[str, Any]) -> WindowPost | None:
        return self.posts.get(facts.get("post") or 0)


def item_of(event: WindowEvent, found: Found) -> TimelineItem:
    facts = event.payload
    return TimelineItem(
        event_id=event.pk,
        kind=event.kind,
        at=event.at,
        who=str(event.by) if event.by else _("Clockwork"),
        is_internal=not event.is_public,
        sentence=sentence(event, found),
        status_from=_status_from(event),
        status_to=_status(facts.get("status_to")),
        post=found.post(facts),
    )


def _status_from(event: WindowEvent) -> str:
    """Where it came from; what it was before its announcement is no customer's business."""
    value = event.payload.get("status_from")
    return "" if event.is_public and value in INTERNAL else _status(value)


def _status(value: str | None) -> str:
    return str(Status(value).label) if value else ""


def _agreed(facts: Facts) -> str:
    return period_text(at(facts["starts_at"]), at(facts["ends_at"]))


def _drafted(facts: Facts, found: Found) -> str:
    previous = found.windows.get(facts.get("previous_attempt") or 0)
    if previous is None:
        return _("wrote the draft")
    return _("wrote the draft, a new attempt of %(ref)s") % {"ref": previous.reference}


def _moved(facts: Facts, found: Found) -> str:
    return _("moved it to %(period)s") % {"period": _agreed(facts)}


def _cancelled(facts: Facts, found: Found) -> str:
    if facts.get("because") == "never_started":
        return _("cancelled: it had not started by its end")
    return _("cancelled it")


def _extended(facts: Facts, found: Found) -> str:
    if not facts.get("is_planned", True):
        return _("the end is now expected at %(at)s") % {"at": moment(at(facts["ends_at"]))}
    return _("extended it: it ends at %(at)s, not at %(before)s") % {
        "at": moment(at(facts["ends_at"])),
        "before": moment(at(facts["ends_from"])),
    }


def _step(facts: Facts, found: Found) -> str:
    step = found.steps.get(facts["step"])
    words = _("done: %(step)s") if facts["is_done"] else _("not done after all: %(step)s")
    return words % {"step": step or "—"}


def _condition(facts: Facts, found: Found) -> str:
    condition = found.conditions.get(facts["condition"])
    words = _("met: %(condition)s") if facts["is_met"] else _("within the limit: %(condition)s")
    return words % {"condition": condition or "—"}


def _decided(facts: Facts, found: Found) -> str:
    if facts["decision"] == Decision.GO_ON:
        return _("decided to go on")
    return _("decided to roll back")


def _about(words: str, facts: Facts, found: Found) -> str:
    """A sentence about a consent: of whom, and why it is needed."""
    consent = found.consents.get(facts["consent"])
    if consent is None:
        return words
    whose = consent.organisation or _("the vendor")
    return f"{words}: {whose} · {consent.get_reason_display()}"


def _answered(facts: Facts, found: Found) -> str:
    invitation = found.invitations.get(facts["invitation"])
    return _("the invitation of %(name)s: %(answer)s") % {
        "name": invitation.person if invitation else "—",
        "answer": Invitation.Answer(facts["answer"]).label,
    }


def _invited(facts: Facts, found: Found) -> str:
    count = len(facts["people"])
    return ngettext("invited %(count)s more person", "invited %(count)s more people", count) % {
        "count": count
    }


def _alarm(words: str, facts: Facts, found: Found) -> str:
    alarm = found.alarms.get(facts["alarm"])
    return f"{words}: {alarm.title}" if alarm else words


SENTENCES: dict[str, Callable[[Facts, Found], str]] = {
    "drafted": _drafted,
    "changed": lambda f, r: _("changed the draft"),
    "proposed": lambda f, r: _("proposed it"),
    "returned_to_draft": lambda f, r: _("returned it to draft"),
    "approved": lambda f, r: _("approved it"),
    "announced": lambda f, r: _("announced it for %(period)s") % {"period": _agreed(f)},
    "moved": _moved,
    "cancelled": _cancelled,
    "invited": _invited,
    "reminded": lambda f, r: (
        _("reminded the customers, %(words)s before the start") % {"words": duration(f["minutes"] * 60)}
    ),
    "consent_asked": lambda f, r: _about(_("asked for consent"), f, r),
    "consent_given": lambda f, r: _about(_("gave consent"), f, r),
    "consent_refused": lambda f, r: _about(_("refused consent"), f, r),
    "consent_overridden": lambda f, r: _about(_("overrode a missing consent"), f, r),
    "consent_resolved": lambda f, r: _about(_("a consent is no longer needed"), f, r),
    "invitation_answered": _answered,
    "start_held": lambda f, r: _("it did not start, for consents are missing"),
    "started": lambda f, r: _("the work started"),
    "step_ticked": _step,
    "condition_checked": _condition,
    "decision_asked": lambda f, r: _("asked the owner: go on or roll back?"),
    "decision_lapsed": lambda f, r: _("nobody decided in time; the duty manager was paged"),
    "decided": _decided,
    "extension_asked": lambda f, r: _("asked for an extension until %(at)s") % {"at": moment(at(f["until"]))},
    "extension_refused": lambda f, r: _("refused the extension"),
    "extended": _extended,
    "overran": lambda f, r: (
        _("the agreed end, %(at)s, passed before the work was over") % {"at": moment(at(f["ends_at"]))}
    ),
    "expected_end_passed": lambda f, r: (
        _("the expected end, %(at)s, passed as well") % {"at": moment(at(f["ends_at"]))}
    ),
    "rollback_ordered": lambda f, r: _("ordered the rollback"),
    "verification_began": lambda f, r: _("began the verification"),
    "ended": lambda f, r: _("closed it"),
    "posted": lambda f, r: _("wrote"),
    "note_added": lambda f, r: _("noted"),
    "alarm_recorded": lambda f, r: _alarm(_("recorded an alarm"), f, r),
    "alarm_resolved": lambda f, r: _alarm(_("an alarm is over"), f, r),
}


def sentence(event: WindowEvent, found: Found) -> str:
    """What happened, without who and when. KeyError for a kind without a sentence."""
    return SENTENCES[event.kind](event.payload, found)
