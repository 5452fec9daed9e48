"""More time: one person asks for it, another agrees; only then do customers hear, and suppression lasts."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from maintenance.actions.act import Act, iso
from maintenance.actions.base import acting
from maintenance.models import MaintenanceWindow, WindowPost
from maintenance.models.timeline import Extended, ExtensionAsked, ExtensionRefused
from maintenance.rules import NO_EXTENSION
from portal.models import User
from portal.verbs import Refused


def ask_extension(
    window: MaintenanceWindow,
    *,
    until: datetime,
    reason: str,
    by: User,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> MaintenanceWindow:
    """Ask for a later end. Nothing is extended until another person approves; a new question replaces it."""
    until = until.replace(microsecond=0)
    with acting("ask_extension", window, by=by, now=now, channel=channel, revision=revision) as act:
        if until <= max(act.now, act.window.ends_at):
            raise Refused(_("Choose an end after the one that is agreed, and after now."), field="until")
        post = act.write(reason, is_public=False)
        act.window.extension_until, act.window.extension_by = until, by
        act.window.extension_reason = post.text
        act.record(ExtensionAsked(until=iso(until), post=post.pk))
    return window


def approve_extension(
    window: MaintenanceWindow, *, by: User, now: datetime, channel: str, revision: int | None = None
) -> MaintenanceWindow:
    """Agree to the later end: customers are told, with the reason. After an overrun it plans nothing any more."""
    with acting("approve_extension", window, by=by, now=now, channel=channel, revision=revision) as act:
        found = act.window
        until, post = _asked(act)
        if until <= act.now:
            raise Refused(_("That end has passed. Ask for a later one."), kind="state")
        post.is_public = True
        post.save(update_fields=["is_public"])
        before, asker = iso(found.ends_at), found.extension_by_id
        found.ends_at = until
        found.sequence += 1
        forget_extension(found)
        act.record(
            Extended(
                **act.move(found.status),
                **act.timed(),
                ends_from=before,
                asked_by=asker,
                post=post.pk,
                is_planned=found.overrun_at is None,
            )
        )
    return window


def refuse_extension(
    window: MaintenanceWindow,
    *,
    reason: str,
    by: User,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> MaintenanceWindow:
    """The agreed end stands."""
    with acting("refuse_extension", window, by=by, now=now, channel=channel, revision=revision) as act:
        until, _post = _asked(act)
        post = act.write(reason, is_public=False)
        forget_extension(act.window)
        act.record(ExtensionRefused(until=iso(until), post=post.pk))
    return window


def _asked(act: Act) -> tuple[datetime, WindowPost]:
    """The extension that waits, and why it was asked for."""
    until = act.window.extension_until
    if until is None:
        raise Refused(_(NO_EXTENSION), kind="state")
    asked = act.window.events.filter(kind="extension_asked").order_by("-pk")[0]
    return until, WindowPost.objects.get(pk=asked.payload["post"])


def forget_extension(window: MaintenanceWindow) -> None:
    window.extension_until = window.extension_by = None
    window.extension_reason = ""
