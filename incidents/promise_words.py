"""The promise in plain words: for `/sla/`, and for the level cards of the form."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

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


def amount_words(target: SLATarget) -> str:
    """“15 minutes, around the clock”, “4 business hours”, “5 business days”."""
    if target.rule == SLATarget.Rule.SAME_BUSINESS_DAY:
        return _("within the same business day")
    if target.rule == SLATarget.Rule.BUSINESS_DAYS:
        return ngettext("within %(count)s business day", "within %(count)s business days", target.amount) % {
            "count": target.amount
        }
    hours, minutes = divmod(target.amount, 60)
    if minutes or not hours:
        words = ngettext("%(count)s minute", "%(count)s minutes", target.amount) % {"count": target.amount}
    else:
        words = ngettext("%(count)s hour", "%(count)s hours", hours) % {"count": hours}
    clock = _("around the clock") if target.is_around_the_clock else _("of business time")
    return f"{words}, {clock}"


def target_words(target: SLATarget) -> str:
    """One target as a sentence part that a customer reads."""
    if target.rule == SLATarget.Rule.PLANNED_RELEASE:
        return str(ACTIONS[target.deliverable])
    if target.kind == "status_update":
        return _("every %(amount)s, until resolved") % {"amount": amount_words(target)}
    words = amount_words(target)
    if target.rule == SLATarget.Rule.WITHIN_MINUTES:
        words = _("within %(amount)s") % {"amount": words}
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
