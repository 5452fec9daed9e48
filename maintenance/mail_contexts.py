"""What each mail about a window needs to know, gathered when it is sent.

A mail says how it was when it was caused, with the version that calendars know it by, also when it goes out
after the next change: whoever reads two of them learns of both.
"""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from maintenance.models import (
    Consent,
    MaintenanceWindow,
    RollbackCondition,
    Status,
    WindowEvent,
    WindowPost,
)
from maintenance.standard import consent_words, window_form
from portal.models import Organisation, User


def as_of(event: WindowEvent) -> MaintenanceWindow:
    """The window as it was when the event was recorded: what was agreed then, its version, its status."""
    window = copy.copy(event.window)
    for earlier in window.events.filter(pk__lte=event.pk).order_by("pk"):
        facts = earlier.payload
        window.status = facts.get("status_to") or window.status
        if "sequence" in facts:
            window.sequence = facts["sequence"]
            window.starts_at = datetime.fromisoformat(facts["starts_at"])
            window.ends_at = datetime.fromisoformat(facts["ends_at"])
        if earlier.kind == "posted":
            window.next_update_at = window.posts.get(pk=facts["post"]).next_update_at
    for name in ("started_at", "overrun_at", "rollback_ordered_at", "decided_at", "ended_at"):
        if (at := getattr(window, name)) is not None and at > event.recorded_at:
            setattr(window, name, None)
    window.decision = window.decision if window.decided_at else ""
    window.outcome = window.outcome if window.is_over else ""
    return window


def context_of(
    event: WindowEvent, window: MaintenanceWindow, recipient: User | None, organisation: Organisation | None
) -> dict[str, Any]:
    """The context of every mail about an event, for one reader; without an organisation they are staff."""
    facts = event.payload
    post = WindowPost.objects.filter(pk=facts.get("post")).first()
    consent = Consent.objects.filter(pk=facts.get("consent")).select_related("organisation").first()
    form = window_form(
        window,
        [organisation] if organisation else None,
        at=event.at,
        said=_said(event, post, consent),
    )
    return {
        "window": window,
        "event": event,
        "by": event.by,
        "form": form,
        "now": timezone.now(),
        "url": f"{settings.SITE_URL}{window.get_absolute_url() if organisation else desk_path(window)}",
        "post": post,
        "consent": consent,
        "consent_words": consent_words(consent) if consent else "",
        "is_rolled_back": window.status == Status.ROLLED_BACK,
        "was_rollback": window.rollback_ordered_at is not None,
        "starts_from": _moment(facts.get("starts_from")),
        "ends_from": _moment(facts.get("ends_from")),
        "until": _moment(facts.get("until")),
        "never_started": facts.get("because") == "never_started",
        "condition": RollbackCondition.objects.filter(pk=facts.get("condition")).first(),
        "missing": _consents(window, facts.get("consents")),
        "open_steps": window.steps.filter(done_at=None).count(),
    }


def _said(event: WindowEvent, post: WindowPost | None, consent: Consent | None) -> tuple[str, str] | None:
    if event.kind == "posted" and post:
        return _("Progress"), post.text
    if event.kind == "consent_overridden" and consent:
        return _("Reason"), consent.words
    return (_("Reason"), post.text) if post else None


def _consents(window: MaintenanceWindow, pks: list[int] | None) -> list[Consent]:
    return list(window.consents.filter(pk__in=pks or ()).select_related("organisation").order_by("pk"))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def desk_path(window: MaintenanceWindow) -> str:
    """The staff's page of the window."""
    return f"/admin/maintenance/maintenancewindow/{window.pk}/change/"
