"""The promise in plain words: for `/sla/`, and for the level cards of the form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from incidents import audiences
from incidents.defaults import plan_for
from incidents.escalation import Step, Stop
from incidents.models import Incident, Involved, SLATarget, SupportPlan, Topic
from incidents.models.agreement import CUSTOMER_ROLES
from incidents.models.plans import Rule, rules_of, steps_of
from incidents.present import STAFF_ROLES, channel_words, listed, service_word
from portal.endpoints import channel_of
from portal.models import CalendarVersion, Endpoint, Organisation
from portal.models.calendars import WEEKDAYS

DEFINITIONS = {
    "P1": gettext_lazy("Full service outage or critical production impact."),
    "P2": gettext_lazy("Partial functional loss or significant performance degradation."),
    "P3": gettext_lazy("Limited impact, or an error with a workaround."),
}
DAY_NAMES = {
    "monday": gettext_lazy("Monday"),
    "tuesday": gettext_lazy("Tuesday"),
    "wednesday": gettext_lazy("Wednesday"),
    "thursday": gettext_lazy("Thursday"),
    "friday": gettext_lazy("Friday"),
    "saturday": gettext_lazy("Saturday"),
    "sunday": gettext_lazy("Sunday"),
}
WHAT = {
    "first_response": gettext_lazy("First response by a person"),
    "target_action": gettext_lazy("Target action"),
    "status_update": gettext_lazy("Status updates"),
    "rca": gettext_lazy("RCA with a prevention plan"),
}
ACTIONS = {
    "intervention": gettext_lazy("active intervention"),
    "action_plan": gettext_lazy("action plan"),
    "release_or_solution": gettext_lazy("a planned release or a documented solution"),
}
# The customer's roles within a sentence, and what a message is about.
CUSTOMERS = {
    Involved.REPORTER: gettext_lazy("the reporter"),
    Involved.PARTICIPANTS: gettext_lazy("everybody of you who wrote in it"),
    Involved.P1_CONTACTS: gettext_lazy("your P1 contacts"),
    Involved.SUBSCRIBERS: gettext_lazy("colleagues who follow every incident"),
    Involved.ESCALATION_CONTACTS: gettext_lazy("your escalation contacts"),
    Involved.ROOM: gettext_lazy("your own channel"),
}
TOPICS = {
    Topic.RECEIPT: gettext_lazy("the receipt of a report"),
    Topic.LEVEL: gettext_lazy("verdicts on the level"),
    Topic.ANSWER: gettext_lazy("answers and questions of our engineers"),
    Topic.STATUS_UPDATE: gettext_lazy("status updates"),
    Topic.PROGRESS: gettext_lazy("progress of the work"),
    Topic.SOLUTION: gettext_lazy("the solution"),
    Topic.RCA: gettext_lazy("the RCA and its prevention actions"),
    Topic.LATENESS: gettext_lazy("whatever is late"),
}
CLOCKS = {
    "first_response": gettext_lazy("the first response"),
    "target_action": gettext_lazy("the target action"),
    "status_update": gettext_lazy("a status update"),
    "rca": gettext_lazy("the RCA"),
}
STOPS = {
    Stop.ACKNOWLEDGED: gettext_lazy("until somebody takes the incident up"),
    Stop.DELIVERED: gettext_lazy("until it is delivered"),
}
ORDER = ["first_response", "target_action", "status_update", "rca"]


# How long, as a whole phrase: other languages bend the words after "within" and "every" differently.
PHRASES = {
    ("within", "minute", True): ngettext_lazy(
        "within %(count)s minute, around the clock", "within %(count)s minutes, around the clock", "count"
    ),
    ("within", "hour", True): ngettext_lazy(
        "within %(count)s hour, around the clock", "within %(count)s hours, around the clock", "count"
    ),
    ("within", "minute", False): ngettext_lazy(
        "within %(count)s business minute", "within %(count)s business minutes", "count"
    ),
    ("within", "hour", False): ngettext_lazy(
        "within %(count)s business hour", "within %(count)s business hours", "count"
    ),
    ("every", "minute", True): ngettext_lazy(
        "every %(count)s minute, around the clock, until resolved",
        "every %(count)s minutes, around the clock, until resolved",
        "count",
    ),
    ("every", "hour", True): ngettext_lazy(
        "every %(count)s hour, around the clock, until resolved",
        "every %(count)s hours, around the clock, until resolved",
        "count",
    ),
    ("every", "minute", False): ngettext_lazy(
        "every %(count)s business minute, until resolved",
        "every %(count)s business minutes, until resolved",
        "count",
    ),
    ("every", "hour", False): ngettext_lazy(
        "every %(count)s business hour, until resolved",
        "every %(count)s business hours, until resolved",
        "count",
    ),
}


def time_words(target: SLATarget) -> str:
    """“within 15 minutes, around the clock”, “every 4 business hours, until resolved”, “within 5 business days”."""
    if target.rule == SLATarget.Rule.SAME_BUSINESS_DAY:
        return _("within the same business day")
    if target.rule == SLATarget.Rule.BUSINESS_DAYS:
        return ngettext("within %(count)s business day", "within %(count)s business days", target.amount) % {
            "count": target.amount
        }
    hours, minutes = divmod(target.amount, 60)
    unit, count = ("minute", target.amount) if minutes or not hours else ("hour", hours)
    kind = "every" if target.kind == "status_update" else "within"
    return str(PHRASES[kind, unit, target.is_around_the_clock] % {"count": count})


def target_words(target: SLATarget) -> str:
    """One target as a sentence part that a customer reads."""
    if target.rule == SLATarget.Rule.PLANNED_RELEASE:
        return str(ACTIONS[target.deliverable])
    words = time_words(target)
    if target.deliverable:
        words = f"{ACTIONS[target.deliverable]} {words}"
    return _("%(words)s (on request)") % {"words": words} if target.is_on_request else words


def level_cards(organisation: Organisation, now: datetime) -> list[dict[str, Any]]:
    """For each level: its definition, and what the organisation's plan promises for it."""
    targets = list(plan_for(organisation, now).policy_version.targets.all())
    targets.sort(key=lambda target: ORDER.index(target.kind))
    cards = []
    for level, definition in DEFINITIONS.items():
        lines = [(WHAT[t.kind], target_words(t)) for t in targets if t.level == level]
        if not any(t.kind == "status_update" for t in targets if t.level == level):
            lines.append((WHAT["status_update"], _("when something changes")))
        cards.append({"level": level, "definition": definition, "lines": lines})
    return cards


# --- the communication plan ---

Words = list[tuple[str, list[str]]]  # headings, each with its sentences


def communication_words(
    level: str,
    rules: Iterable[Rule],
    steps: Iterable[Step],
    targets: Iterable[SLATarget],
    *,
    room: Endpoint | None,
) -> Words:
    """The communication plan of one level as a customer reads it: headings with short sentences.

    `room` is the customer's own channel, if it has one. No names of staff.
    """
    own = [step for step in steps if step.level == level]
    words = [
        (_("Who of you hears what"), hearing_words([r for r in rules if r.level == level], room)),
        (_("How often you hear while it is open"), update_words(level, targets)),
        (_("Whom we call when time runs low"), calling_words([s for s in own if s.percent is not None])),
        (_("Whom we call when it is late"), calling_words([s for s in own if s.percent is None])),
    ]
    return [(heading, sentences) for heading, sentences in words if sentences]


def hearing_words(rules: Iterable[Rule], room: Endpoint | None) -> list[str]:
    """One sentence for all topics that reach the same people by the same channels."""
    by_topic: dict[str, dict[str, list[str]]] = {}
    for rule in rules:
        if rule.role in CUSTOMERS and rule.topic in TOPICS and (rule.role != Involved.ROOM or room):
            by_way = by_topic.setdefault(rule.topic, {})
            by_way.setdefault(_way(rule, room), []).append(str(CUSTOMERS[Involved(rule.role)]))
    topics: dict[str, list[str]] = {}
    for topic in TOPICS:
        if topic in by_topic:
            heard = "; ".join(f"{listed(roles)}{way}" for way, roles in by_topic[topic].items())
            topics.setdefault(heard, []).append(str(TOPICS[topic]))
    return [
        _sentence(_("%(who)s: %(topics)s") % {"who": who, "topics": listed(t)}) for who, t in topics.items()
    ]


def _way(rule: Rule, room: Endpoint | None) -> str:
    """How, as it follows upon who: “, by e-mail”, “ (Slack)”."""
    if rule.role == Involved.ROOM and room is not None:
        return f" ({service_word(room)})"
    channels = rule.channels if room else ("email",)
    words = channel_words(channels, is_every=rule.is_every_channel, endpoint=room)
    return ", " + _("by %(channels)s") % {"channels": words}


def update_words(level: str, targets: Iterable[SLATarget]) -> list[str]:
    """How often status updates are due: the SLA targets say so, and nothing else does."""
    target = next((t for t in targets if (t.level, t.kind) == (level, "status_update")), None)
    if target is None:
        return [_("You get a status update when something changes.")]
    return [
        _("You get a status update %(how_often)s.") % {"how_often": time_words(target)},
        _("Each names the time of the next one."),
    ]


def calling_words(steps: Sequence[Step]) -> list[str]:
    """Who is called at which moment of which clock, in the order of the clocks and of time."""
    moments: dict[tuple[int, int, int], list[Step]] = {}
    for step in steps:
        moments.setdefault((ORDER.index(step.kind), step.percent or 0, step.after_minutes), []).append(step)
    sentences = []
    for _moment, together in sorted(moments.items()):
        sentences += _moment_words(together)
    return sentences


def _moment_words(steps: list[Step]) -> list[str]:
    """One moment: who is called, then who is called again, then who of the customer hears."""
    moment = _when(steps[0])
    ours = list(dict.fromkeys(str(STAFF_ROLES[step.role]) for step in steps if step.role in STAFF_ROLES))
    yours = list(
        dict.fromkeys(CUSTOMERS[Involved(step.role)] for step in steps if step.role in CUSTOMER_ROLES)
    )
    words = []
    if ours:
        words.append(_("%(moment)s we call %(who)s.") % {"moment": moment, "who": listed(ours)})
    words += [_again(step) for step in steps if step.repeat_minutes and step.role in STAFF_ROLES]
    if any(step.makes_major for step in steps):
        words.append(_("It is then a major incident."))
    if yours:
        words.append(_("%(moment)s we tell %(who)s.") % {"moment": moment, "who": listed(yours)})
    return words


def _when(step: Step) -> str:
    clock = {"clock": CLOCKS[step.kind]}
    if step.percent is not None:
        return _("At %(percent)s %% of the time for %(clock)s") % (clock | {"percent": step.percent})
    if step.after_minutes:
        return ngettext(
            "%(count)s minute after %(clock)s was due",
            "%(count)s minutes after %(clock)s was due",
            step.after_minutes,
        ) % (clock | {"count": step.after_minutes})
    return _("When %(clock)s is late") % clock


def _again(step: Step) -> str:
    told = {
        "who": STAFF_ROLES[step.role],
        "minutes": step.repeat_minutes,
        "count": step.max_pages,
        "stop": STOPS[step.stop],
    }
    words = _("%(who)s is called every %(minutes)s minutes, %(count)s times at most, %(stop)s") % told
    return _sentence(words)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def major_words(steps: Iterable[Step]) -> list[str]:
    """What a major incident is, and what follows from it."""
    late = dict.fromkeys((step.level, step.kind) for step in steps if step.makes_major)
    words = [
        _("%(level)s becomes one when %(clock)s is late.") % {"level": level, "clock": CLOCKS[kind]}
        for level, kind in late
    ]
    return [
        _("A major incident is one in which a promise to you was badly broken."),
        *words,
        _("A duty manager can declare any incident to be one."),
        _("We then owe you an RCA where your plan would give one only on request."),
    ]


def contact_words(organisation: Organisation) -> list[str]:
    """Who of the organisation hears when a promise is broken, by name: these are the reader's colleagues."""
    contacts = list(audiences.escalation_contacts(Incident(organisation=organisation)))
    if not contacts:
        return [_("Nobody is named yet, and you have no manager. Tell us whom to call.")]
    named = _("Your escalation contacts: %(names)s.") % {"names": listed(contacts)}
    return [named, _("They hear when something promised is late. Tell us if it should be somebody else.")]


def channel_promise(plan: SupportPlan, room: Endpoint | None) -> str:
    """Whether the organisation has a dedicated channel; "" where its plan has none."""
    if not plan.has_dedicated_channel:
        return ""
    if room is None:
        return _("Your plan has a dedicated channel, but none is set up: until then you hear by e-mail.")
    return _("Your dedicated channel: %(service)s. Should it fail, you hear by e-mail.") % {
        "service": service_word(room)
    }


def promise_of(organisation: Organisation, now: datetime) -> dict[str, Any]:
    """All that `/sla/` says of one organisation's plan."""
    plan = plan_for(organisation, now)
    version = plan.calendar.current_version
    rules, steps = rules_of(plan.communication_plan), steps_of(plan.communication_plan)
    targets = list(plan.policy_version.targets.all())
    room = channel_of(organisation)
    return {
        "communication": [
            (level, communication_words(level, rules, steps, targets, room=room)) for level in DEFINITIONS
        ],
        "major": major_words(steps),
        "contacts": contact_words(organisation),
        "channel": channel_promise(plan, room),
        "organisation": organisation,
        "plan": plan,
        "levels": level_cards(organisation, now),
        "calendar": version,
        "week": [(DAY_NAMES[day], version.week.get(day, [])) for day in WEEKDAYS],
        "holidays": coming_holidays(version, now),
    }


def coming_holidays(version: CalendarVersion, now: datetime) -> Any:
    today = timezone.localtime(now).date()
    return version.special_dates.filter(day__gte=today).order_by("day")[:8]
