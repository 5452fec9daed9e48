"""The timeline as people read it: events, words, updates and plans in order, in a constant number of queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from incidents import present
from incidents.bridge_summary import summary_of
from incidents.models import (
    ActionPlan,
    Alarm,
    ArticleVersion,
    Attachment,
    Bridge,
    BridgeRole,
    BridgeStep,
    Channel,
    Contest,
    InboundMessage,
    Incident,
    IncidentEvent,
    LevelValidation,
    Message,
    Release,
    Status,
    StatusUpdate,
)
from incidents.standard import Situation, update_form
from portal.models import User
from portal.standard_form import StandardForm
from portal.templatetags.portal_tags import day, moment

HIDDEN = frozenset({"status_update_accepted"})


@dataclass
class TimelineItem:
    """One entry: a sentence about a fact, with the words, update or plan that belong to it."""

    event_id: int
    kind: str
    at: datetime
    who: str
    is_staff: bool
    is_internal: bool
    sentence: str
    channel: str
    status_from: str = ""
    status_to: str = ""
    message: Message | None = None
    update: StatusUpdate | None = None
    form: StandardForm | None = None
    plan: ActionPlan | None = None
    reason: str = ""
    article_version: ArticleVersion | None = None
    attachments: list[Attachment] = field(default_factory=list)
    original_url: str = ""  # the whole mail that it came by
    inbound: InboundMessage | None = None  # the same, for staff

    @property
    def came_by(self) -> str:
        """The door in words, where the item does not show it by a link to the mail."""
        return str(Channel.CHAT.label) if self.channel == Channel.CHAT and self.message is not None else ""

    @property
    def look(self) -> str:
        """Which of the four looks it has: internal words, update, words, or a fact that nobody wrote."""
        if self.is_internal and (self.message is not None or self.update is not None):
            return "internal"
        if self.update is not None:
            return "update"
        return "words" if self.message is not None or self.plan is not None else "fact"


def timeline_items(
    incident: Incident, user: User, *, since: datetime | None = None, latest: int | None = None
) -> list[TimelineItem]:
    """What `user` may read of the incident's timeline, oldest first: all, or the `latest` recorded `since`."""
    visible = IncidentEvent.objects.visible_to(user).filter(incident=incident).exclude(kind__in=HIDDEN)
    if since is not None:
        visible = visible.filter(recorded_at__gte=since)
    events = list(visible.select_related("by").order_by("-pk")[:latest])[::-1]
    found = _Found(events, incident, user)
    return [item_of(event, found, user) for event in events]


class _Found:
    """The rows that events name, fetched once per kind."""

    def __init__(self, events: list[IncidentEvent], incident: Incident, user: User) -> None:
        self.incident = incident

        def rows(queryset: Any, name: str) -> dict[int, Any]:
            wanted = {event.payload.get(name) for event in events} - {None}
            return queryset.in_bulk(wanted) if wanted else {}

        self.messages = rows(Message.objects.visible_to(user).select_related("author"), "message")
        self.updates = rows(StatusUpdate.objects.filter(incident=incident), "status_update")
        self.forms = self._forms()
        self.plans = rows(ActionPlan.objects.prefetch_related("steps"), "action_plan")
        self.validations = rows(LevelValidation.objects.all(), "validation")
        self.contests = rows(Contest.objects.all(), "contest")
        self.releases = rows(Release.objects.all(), "release")
        self.versions = rows(ArticleVersion.objects.select_related("article"), "article_version")
        self.incidents = rows(Incident.objects.visible_to(user), "duplicate_of")
        people = {event.payload.get("engineer") for event in events}
        people |= {event.payload.get("assignee_to") for event in events}
        for event in events:
            people |= {*event.payload.get("people", ()), *event.payload.get("escalated_to", ())}
            people.add(event.payload.get("person"))
            people.add(event.payload.get("person_to"))
        self.alarms = rows(Alarm.objects.all(), "alarm")
        self.bridges = self._unsummed(events)
        agreed = [event.payload["step"] for event in events if event.kind.startswith("bridge_step_")]
        self.bridge_steps = BridgeStep.objects.select_related("owner").in_bulk(agreed) if agreed else {}
        self.people = User.objects.in_bulk(people - {None})
        self.inbound = InboundMessage.objects.in_bulk(self._mails(events)) if user.is_agent else {}
        self.attachments: dict[int | None, list[Attachment]] = {}
        for attachment in Attachment.objects.visible_to(user).filter(incident=incident):
            self.attachments.setdefault(attachment.message_id, []).append(attachment)

    def _forms(self) -> dict[int, StandardForm]:
        """Each update in the standard format."""
        if not self.updates:
            return {}
        situation = Situation.of(self.incident)
        return {pk: update_form(update, situation) for pk, update in self.updates.items()}

    def _unsummed(self, events: list[IncidentEvent]) -> dict[int, Bridge]:
        """The bridges that closed by themselves: nobody wrote their summary."""
        closed = [e for e in events if e.kind == "bridge_closed" and e.payload["message"] is None]
        ids = [event.payload["bridge"] for event in closed]
        bridges = Bridge.objects.select_related("incident__organisation", "opened_by")
        return bridges.in_bulk(ids) if ids else {}

    def _mails(self, events: list[IncidentEvent]) -> set[int]:
        named = {event.payload.get("inbound") for event in events}
        return (named | {message.inbound_id for message in self.messages.values()}) - {None}


def item_of(event: IncidentEvent, found: _Found, user: User) -> TimelineItem:
    facts = event.payload
    message = found.messages.get(facts.get("message"))
    item = TimelineItem(
        event_id=event.pk,
        kind=event.kind,
        at=event.at,
        who=_who(event),
        is_staff=bool(event.by and event.by.is_staff) or event.by is None,
        is_internal=not event.is_public,
        sentence=sentence(event, found),
        channel=event.channel,
        status_from=_status(facts.get("status_from")),
        status_to=_status(facts.get("status_to")),
        message=message,
        update=found.updates.get(facts.get("status_update")),
        form=found.forms.get(facts.get("status_update")),
        plan=found.plans.get(facts.get("action_plan")),
        article_version=found.versions.get(facts.get("article_version")),
        reason=_reason(event, found),
    )
    if message is not None:
        item.attachments = found.attachments.get(message.pk, [])
    if event.kind in ("opened", "files_attached"):
        item.attachments = _loose(event, found)
    _link_mail(item, event, found, user)
    return item


def _link_mail(item: TimelineItem, event: IncidentEvent, found: _Found, user: User) -> None:
    """The whole mail: for staff the inbox's page; for the customer what their own side wrote.

    What they wrote in their channel is there, and all of it is in the timeline.
    """
    inbound = item.message.inbound_id if item.message else event.payload.get("inbound")
    if inbound is None or (event.channel == Channel.CHAT and not user.is_agent):
        return
    if user.is_agent:
        item.inbound = found.inbound.get(inbound)
        item.original_url = reverse("admin:incidents_inboundmessage_change", args=[inbound])
    elif item.message is None:
        item.original_url = reverse("incidents:report_original", args=[found.incident.reference])
    elif not item.message.is_from_staff:
        args = [found.incident.reference, item.message.pk]
        item.original_url = reverse("incidents:original", args=args)


def _who(event: IncidentEvent) -> str:
    if event.by:
        return str(event.by)
    return _("Alarm") if event.channel == Channel.ALARM else _("Clockwork")


def _loose(event: IncidentEvent, found: _Found) -> list[Attachment]:
    """Files that came with the report, or with their own event."""
    loose = found.attachments.get(None, [])
    named = event.payload.get("attachments")
    if named is not None:
        return [attachment for attachment in loose if attachment.pk in named]
    return [attachment for attachment in loose if attachment.uploaded_at <= event.recorded_at]


def _status(value: str | None) -> str:
    return str(Status(value).label) if value else ""


def _reason(event: IncidentEvent, found: _Found) -> str:
    if event.kind == "level_validated":
        return found.validations[event.payload["validation"]].reason
    if event.kind == "lowering_contested":
        return found.contests[event.payload["contest"]].reason
    if event.kind == "contest_decided":
        return found.contests[event.payload["contest"]].decision_reason
    if event.kind == "bridge_closed" and event.payload["bridge"] in found.bridges:
        return summary_of(found.bridges[event.payload["bridge"]])
    return ""


def _day(text: str) -> str:
    return day(date.fromisoformat(text))


def _level_sentence(facts: dict[str, Any], found: _Found) -> str:
    if facts["level_from"] == facts["level_to"]:
        return _("validated the level: %(level)s") % {"level": facts["level_to"]}
    return _("changed the level from %(a)s to %(b)s") % {"a": facts["level_from"], "b": facts["level_to"]}


def _decision_sentence(facts: dict[str, Any], found: _Found) -> str:
    if facts["is_upheld"]:
        return _("upheld the objection: the level is %(level)s again") % {"level": facts["level_to"]}
    return _("did not uphold the objection: the level stays %(level)s") % {"level": facts["level_to"]}


def _assigned_sentence(facts: dict[str, Any], found: _Found) -> str:
    person = found.people.get(facts["assignee_to"])
    return _("gave it to %(name)s") % {"name": person} if person else _("took the owner away")


def _clock_sentence(facts: dict[str, Any], found: _Found) -> str:
    kind = present.KIND_LABELS[facts["clock"].split("/")[0]]
    if facts.get("percent"):
        return _("%(percent)s %% of the time for %(clock)s used") % {
            "percent": facts["percent"],
            "clock": kind,
        }
    return _("%(clock)s breached") % {"clock": kind}


def _names(pks: list[int], found: _Found) -> str:
    return ", ".join(str(found.people[pk]) for pk in pks if pk in found.people) or _("nobody")


def _escalated_sentence(facts: dict[str, Any], found: _Found) -> str:
    """Who was paged, by which step of the chain, for which clock."""
    told = {
        "moment": present.moment_words(facts["step"], facts["clock"].split("/")[0]),
        "names": _names(facts["people"], found),
        "role": present.ROLE_NAMES[facts["role"]],
        "number": facts["number"],
    }
    if facts["number"] == 1:
        return _("%(moment)s: paged %(names)s (%(role)s)") % told
    return _("%(moment)s: paged %(names)s again (%(role)s, page %(number)s)") % told


def _major_sentence(facts: dict[str, Any], found: _Found) -> str:
    if not facts.get("clock"):
        return _("declared it a major incident: an RCA is owed")
    kind = present.KIND_LABELS[facts["clock"].split("/")[0]]
    return _("a major incident now, for this is late: %(clock)s. An RCA is owed") % {"clock": kind}


def _lateness_sentence(facts: dict[str, Any], found: _Found) -> str:
    kinds = dict.fromkeys(str(present.KIND_LABELS[name.split("/")[0]]) for name in facts["clocks"])
    late = ", ".join(kinds)
    if not facts["escalated_to"]:
        return _("late: %(clocks)s") % {"clocks": late}
    return _("late: %(clocks)s; escalated to %(names)s") % {
        "clocks": late,
        "names": _names(facts["escalated_to"], found),
    }


def _not_reached_sentence(facts: dict[str, Any], found: _Found) -> str:
    missed = found.people.get(facts["person"]) or _("the room")
    return _("a message to %(name)s did not arrive; %(next)s told instead") % {
        "name": missed,
        "next": _names(facts["people"], found),
    }


def _with_alarm(words: str, facts: dict[str, Any], found: _Found) -> str:
    """The words with the alarm's title, where the alarm is this incident's own.

    What a monitoring of a whole service writes may name others: no organisation's incident quotes it.
    """
    alarm = found.alarms.get(facts["alarm"])
    return f"{words}: {alarm.title}" if alarm and alarm.incident_id == found.incident.pk else words


def _held_sentence(facts: dict[str, Any], found: _Found) -> str:
    inbound = found.inbound.get(facts["inbound"])
    if inbound is not None and inbound.kind == InboundMessage.Kind.CHAT:
        return _("a message from the channel is held: staff decide what becomes of it")
    return _("a mail is held: staff decide what becomes of it")


def _part_sentence(facts: dict[str, Any], found: _Found) -> str:
    told = {"part": BridgeRole(facts["role"]).label, "name": found.people.get(facts["person_to"])}
    return _("gave a part on the bridge: %(part)s is %(name)s") % told


def _step_sentence(facts: dict[str, Any], found: _Found) -> str:
    step = found.bridge_steps[facts["step"]]
    told = {"text": step.text, "name": step.owner, "moment": moment(step.due_at)}
    return _("agreed a next step on the bridge: %(text)s (%(name)s, by %(moment)s)") % told


def _release_version(facts: dict[str, Any], found: _Found) -> str:
    return found.releases[facts["release"]].version


SENTENCES: dict[str, Callable[[dict[str, Any], _Found], str]] = {
    "opened": lambda f, r: _("reported it as %(level)s") % {"level": f["level"]},
    "level_validated": _level_sentence,
    "lowering_contested": lambda f, r: _("contested the lowering"),
    "contest_decided": _decision_sentence,
    "staff_replied": lambda f, r: _("answered"),
    "customer_replied": lambda f, r: _("wrote"),
    "note_added": lambda f, r: _("noted"),
    "files_attached": lambda f, r: _("attached files"),
    "acknowledged": lambda f, r: _("acknowledged it"),
    "assigned": _assigned_sentence,
    "intervention_started": lambda f, r: (
        _("intervention by %(name)s started") % {"name": r.people.get(f["engineer"])}
    ),
    "action_plan_filed": lambda f, r: _("filed the action plan"),
    "question_asked": lambda f, r: _("asked"),
    "status_update_scheduled": lambda f, r: _("scheduled a status update"),
    "status_update_held": lambda f, r: _("the scheduled update is held"),
    "status_update_discarded": lambda f, r: _("discarded the pending update"),
    "status_update_published": lambda f, r: _("status update"),
    "release_planned": lambda f, r: (
        _("planned release %(version)s for %(day)s")
        % {"version": _release_version(f, r), "day": _day(f["release_on"])}
    ),
    "release_moved": lambda f, r: (
        _("moved release %(version)s from %(a)s to %(b)s")
        % {"version": _release_version(f, r), "a": _day(f["release_from"]), "b": _day(f["release_on"])}
    ),
    "release_shipped": lambda f, r: _("release %(version)s is out") % {"version": _release_version(f, r)},
    "release_withdrawn": lambda f, r: _("withdrew release %(version)s") % {"version": _release_version(f, r)},
    "solution_documented": lambda f, r: _("linked a documented solution"),
    "restored": lambda f, r: _("service restored"),
    "resolved": lambda f, r: _("resolved it"),
    "confirmed": lambda f, r: _("confirmed the solution"),
    "closed": lambda f, r: _("closed after the reminder"),
    "closing_reminded": lambda f, r: _("reminded that it will close"),
    "reopened": lambda f, r: _("reopened it"),
    "withdrawn": lambda f, r: _("withdrew it"),
    "marked_duplicate": lambda f, r: (
        _("closed it as a duplicate of %(ref)s") % {"ref": r.incidents[f["duplicate_of"]].reference}
    ),
    "rca_requested": lambda f, r: _("asked for an RCA"),
    "rca_published": lambda f, r: (
        _("published the RCA")
        if f["number"] == 1
        else _("published version %(number)s of the RCA") % {"number": f["number"]}
    ),
    "escalated": _escalated_sentence,
    "lateness_told": _lateness_sentence,
    "declared_major": _major_sentence,
    "not_reached": _not_reached_sentence,
    "alarm_joined": lambda f, r: _with_alarm(_("another alarm is part of it"), f, r),
    "alarm_resolved": lambda f, r: _with_alarm(_("the alarm source says that it is over"), f, r),
    "alarm_fired_again": lambda f, r: _with_alarm(
        ngettext("fired again (%(count)s time)", "fired again (%(count)s times)", f["flap_count"])
        % {"count": f["flap_count"]},
        f,
        r,
    ),
    "customer_escalated": lambda f, r: _("escalated it to %(names)s") % {"names": _names(f["people"], r)},
    "escalation_raised": lambda f, r: (
        _("no answer to the escalation in time: paged %(names)s") % {"names": _names(f["people"], r)}
    ),
    "escalation_answered": lambda f, r: _("answered the escalation"),
    "bridge_opened": lambda f, r: _("opened the live bridge"),
    "bridge_role_given": _part_sentence,
    "bridge_noted": lambda f, r: _("said on the bridge"),
    "bridge_decided": lambda f, r: _("decided on the bridge"),
    "bridge_step_agreed": _step_sentence,
    "bridge_step_done": lambda f, r: (
        _("finished a step agreed on the bridge: %(text)s") % {"text": r.bridge_steps[f["step"]].text}
    ),
    "bridge_closed": lambda f, r: _("closed the live bridge"),
    "outage_joined": lambda f, r: _("put it under a common outage"),
    "outage_left": lambda f, r: _("took it out of the common outage"),
    "clock_warned": _clock_sentence,
    "clock_breached": _clock_sentence,
    "promise_changed": lambda f, r: _("moved the open clocks under a new version of the agreement"),
    "mail_held": _held_sentence,
    "automatic_mail_received": lambda f, r: _("an automatic mail came; it counts for nothing"),
    "clock_corrected": lambda f, r: _("corrected a clock: %(reason)s") % {"reason": f["reason"]},
}


def sentence(event: IncidentEvent, found: _Found) -> str:
    """What happened, without who and when. KeyError for a kind without a sentence."""
    return SENTENCES[event.kind](event.payload, found)
