"""What happened, in a sentence for each kind of event."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from incidents import present
from incidents.models import (
    BridgeRole,
    InboundMessage,
    Incident,
    IncidentEvent,
)
from incidents.timeline_rows import Named
from portal.templatetags.portal_tags import day, moment


def _day(text: str) -> str:
    return day(date.fromisoformat(text))


def _level_sentence(facts: dict[str, Any], found: Named) -> str:
    if facts["level_from"] == facts["level_to"]:
        return _("validated the level: %(level)s") % {"level": facts["level_to"]}
    return _("changed the level from %(a)s to %(b)s") % {"a": facts["level_from"], "b": facts["level_to"]}


def _decision_sentence(facts: dict[str, Any], found: Named) -> str:
    if facts["is_upheld"]:
        return _("upheld the objection: the level is %(level)s again") % {"level": facts["level_to"]}
    return _("did not uphold the objection: the level stays %(level)s") % {"level": facts["level_to"]}


def _assigned_sentence(facts: dict[str, Any], found: Named) -> str:
    person = found.people.get(facts["assignee_to"])
    return _("gave it to %(name)s") % {"name": person} if person else _("took the owner away")


def _clock_sentence(facts: dict[str, Any], found: Named) -> str:
    kind = present.KIND_LABELS[facts["clock"].split("/")[0]]
    if facts.get("percent"):
        return _("%(percent)s %% of the time for %(clock)s used") % {
            "percent": facts["percent"],
            "clock": kind,
        }
    return _("%(clock)s breached") % {"clock": kind}


def _names(pks: list[int], found: Named) -> str:
    return ", ".join(str(found.people[pk]) for pk in pks if pk in found.people) or _("nobody")


def _escalated_sentence(facts: dict[str, Any], found: Named) -> str:
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


def _major_sentence(facts: dict[str, Any], found: Named) -> str:
    if not facts.get("clock"):
        return _("declared it a major incident: an RCA is owed")
    kind = present.KIND_LABELS[facts["clock"].split("/")[0]]
    return _("a major incident now, for this is late: %(clock)s. An RCA is owed") % {"clock": kind}


def _lateness_sentence(facts: dict[str, Any], found: Named) -> str:
    kinds = dict.fromkeys(str(present.KIND_LABELS[name.split("/")[0]]) for name in facts["clocks"])
    late = ", ".join(kinds)
    if not facts["escalated_to"]:
        return _("late: %(clocks)s") % {"clocks": late}
    return _("late: %(clocks)s; escalated to %(names)s") % {
        "clocks": late,
        "names": _names(facts["escalated_to"], found),
    }


def _not_reached_sentence(facts: dict[str, Any], found: Named) -> str:
    missed = found.people.get(facts["person"]) or _("the room")
    return _("a message to %(name)s did not arrive; %(next)s told instead") % {
        "name": missed,
        "next": _names(facts["people"], found),
    }


def _with_alarm(words: str, facts: dict[str, Any], found: Named) -> str:
    """The words with the alarm's title, where the alarm is this incident's own.

    What a monitoring of a whole service writes may name others: no organisation's incident quotes it.
    """
    alarm = found.alarms.get(facts["alarm"])
    return f"{words}: {alarm.title}" if alarm and alarm.incident_id == found.incident.pk else words


def _team_sentence(facts: dict[str, Any], found: Named) -> str:
    team = found.teams.get(facts["to_id"])
    return _("moved it to the team %(name)s") % {"name": team} if team else _("took it out of its team")


def _held_sentence(facts: dict[str, Any], found: Named) -> str:
    inbound = found.inbound.get(facts["inbound"])
    if inbound is not None and inbound.kind == InboundMessage.Kind.CHAT:
        return _("a message from the channel is held: staff decide what becomes of it")
    return _("a mail is held: staff decide what becomes of it")


def _part_sentence(facts: dict[str, Any], found: Named) -> str:
    told = {"part": BridgeRole(facts["role"]).label, "name": found.people.get(facts["person_to"])}
    return _("gave a part on the bridge: %(part)s is %(name)s") % told


def _step_sentence(facts: dict[str, Any], found: Named) -> str:
    step = found.bridge_steps[facts["step"]]
    told = {"text": step.text, "name": step.owner, "moment": moment(step.due_at)}
    return _("agreed a next step on the bridge: %(text)s (%(name)s, by %(moment)s)") % told


def _release_version(facts: dict[str, Any], found: Named) -> str:
    return found.releases[facts["release"]].version


SENTENCES: dict[str, Callable[[dict[str, Any], Named], str]] = {
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
        _("closed it as a duplicate of %(ref)s") % {"ref": Incident(pk=f["duplicate_of"]).reference}
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
    "watcher_added": lambda f, r: _("%(name)s watches it now") % {"name": _names([f["person_id"]], r)},
    "watcher_removed": lambda f, r: (
        _("%(name)s does not watch it any more") % {"name": _names([f["person_id"]], r)}
    ),
    "reporter_changed": lambda f, r: _("made %(name)s its reporter") % {"name": _names([f["to_id"]], r)},
    "team_changed": _team_sentence,
    "clock_corrected": lambda f, r: _("corrected a clock: %(reason)s") % {"reason": f["reason"]},
}


def sentence(event: IncidentEvent, found: Named) -> str:
    """What happened, without who and when. KeyError for a kind without a sentence."""
    return SENTENCES[event.kind](event.payload, found)
