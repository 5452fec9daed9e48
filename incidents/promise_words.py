"""The promise in plain words: for `/sla/`, and for the level cards of the form."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from incidents.defaults import plan_for
from incidents.models import SLATarget
from portal.models import CalendarVersion, Organisation
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


def promise_of(organisation: Organisation, now: datetime) -> dict[str, Any]:
    """All that `/sla/` says of one organisation's plan."""
    plan = plan_for(organisation, now)
    version = plan.calendar.current_version
    return {
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
