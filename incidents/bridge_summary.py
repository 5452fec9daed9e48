"""What a bridge came to, in words: drafted from the facts that both sides read. No side-note is among them."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from incidents.models import Bridge, BridgeStep, IncidentEvent, Message
from portal.models import User
from portal.templatetags.portal_tags import moment


def summary_of(bridge: Bridge) -> str:
    """The summary of a closed bridge, in Markdown; "" while it is open.

    What a person wrote; where it closed by itself nobody wrote one, and the facts are put into the reader's words.
    """
    if bridge.closed_at is None:
        return ""
    if bridge.summary is None:
        return draft_summary(bridge, bridge.closed_at)
    return bridge.summary.text if bridge.summary.is_public else ""


def draft_summary(bridge: Bridge, now: datetime) -> str:
    """Who was there, what was decided and agreed, up to `now`: Markdown in the active language and zone."""
    return "\n\n".join(
        part
        for part in (
            _times(bridge, now),
            _people(bridge),
            _section(_("Decisions"), _decisions(bridge)),
            _section(_("Next steps, open"), _steps(bridge, is_done=False)),
            _section(_("Next steps, done"), _steps(bridge, is_done=True)),
            _notes(bridge),
        )
        if part
    )


def _times(bridge: Bridge, now: datetime) -> str:
    opened = _("%(name)s opened the bridge on %(moment)s.") % {
        "name": bridge.opened_by,
        "moment": moment(bridge.opened_at),
    }
    closed = _("It closed on %(moment)s.") % {"moment": moment(bridge.closed_at or now)}
    return f"{opened} {closed}"


def _people(bridge: Bridge) -> str:
    """Both sides by name, in the order of their coming."""
    people = User.objects.filter(pk__in=bridge.presences.values("person"))
    found = people.in_bulk()
    order = dict.fromkeys(bridge.presences.order_by("pk").values_list("person", flat=True))
    sides: tuple[list[str], list[str]] = ([], [])
    for pk in order:
        sides[found[pk].is_agent].append(str(found[pk]))
    lines = []
    if sides[0]:
        lines.append(
            _("%(organisation)s: %(names)s")
            % {"organisation": bridge.incident.organisation, "names": ", ".join(sides[0])}
        )
    if sides[1]:
        lines.append(_("Support: %(names)s") % {"names": ", ".join(sides[1])})
    return _section(_("Who took part"), lines)


def public_events(bridge: Bridge, kind: str) -> list[IncidentEvent]:
    """The events of one kind that happened on this bridge and that both sides read, oldest first."""
    events = IncidentEvent.objects.filter(incident=bridge.incident_id, kind=kind, is_public=True)
    return list(events.filter(payload__bridge=bridge.pk).select_related("by").order_by("pk"))


def _decisions(bridge: Bridge) -> list[str]:
    events = public_events(bridge, "bridge_decided")
    wanted = [event.payload["message"] for event in events]
    texts = Message.objects.filter(is_public=True).in_bulk(wanted)
    return [
        f"{texts[event.payload['message']].text} ({event.by}, {moment(event.at)})"
        for event in events
        if event.payload["message"] in texts
    ]


def _steps(bridge: Bridge, *, is_done: bool) -> list[str]:
    steps = bridge.steps.filter(done_at__isnull=not is_done).select_related("owner", "done_by")
    return [_step(step) for step in steps.order_by("due_at", "pk")]


def _step(step: BridgeStep) -> str:
    told = {"text": step.text, "name": step.owner, "moment": moment(step.done_at or step.due_at)}
    if step.done_at:
        return _("%(text)s (%(name)s, done on %(moment)s)") % told
    return _("%(text)s (%(name)s, by %(moment)s)") % told


def _notes(bridge: Bridge) -> str:
    count = len(public_events(bridge, "bridge_noted"))
    if not count:
        return ""
    words = ngettext(
        "%(count)s note of the conversation is in the timeline.",
        "%(count)s notes of the conversation are in the timeline.",
        count,
    )
    return words % {"count": count}


def _section(title: str, lines: list[str]) -> str:
    """A heading and a list; a line of several lines stays one entry. "" without any."""
    if not lines:
        return ""
    entries = ["- " + line.strip().replace("\n", "\n  ") for line in lines]
    return "\n".join([f"**{title}**", "", *entries])
