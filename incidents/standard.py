"""What incidents say in the standard format: an outage update, cut for the incident's own organisation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _

from incidents.models import ActionPlan, Incident, StatusUpdate
from portal.models.service_impact import Impact
from portal.standard_form import AffectedService, Kind, NextStep, StandardForm


@dataclass(frozen=True)
class Situation:
    """What the updates of one incident have in common, asked for once."""

    incident: Incident
    services: list[AffectedService]
    plans: list[ActionPlan]

    @classmethod
    def of(cls, incident: Incident) -> Situation:
        word = str(Impact(incident.impact).label)
        services = [AffectedService(each.name, incident.impact, word) for each in incident.services.all()]
        plans = incident.action_plans.order_by("-pk").prefetch_related("steps")
        return cls(incident, services, list(plans))

    def actions(self, at: datetime) -> list[str]:
        """What was under way at `at`: the intervention, by its engineer."""
        started, engineer = self.incident.intervention_started_at, self.incident.intervention_by
        if started is None or engineer is None or started > at:
            return []
        return [_("%(name)s has been working on it.") % {"name": engineer}]

    def planned_steps(self, at: datetime) -> list[NextStep]:
        """The steps of the action plan that held at `at`."""
        plan = next((plan for plan in self.plans if plan.filed_at <= at), None)
        steps = plan.steps.all() if plan else ()
        return [NextStep(step.text, step.owner, step.due_on) for step in steps]

    def restored_by(self, at: datetime) -> datetime | None:
        restored = self.incident.restored_at
        return restored if restored is not None and restored <= at else None


def update_form(update: StatusUpdate, situation: Situation | None = None) -> StandardForm:
    """A status update, published or as it would be, in the active language."""
    situation = situation or Situation.of(update.incident)
    incident = situation.incident
    at = update.published_at or update.publish_at or update.written_at
    said = [NextStep(update.next_steps)] if update.next_steps.strip() else []
    return StandardForm(
        kind=Kind.OUTAGE_UPDATE,
        reference=incident.reference,
        title=incident.title,
        state=update.condition,
        state_word=str(update.get_condition_display()),
        what=update.summary,
        impact=update.impact,
        services=situation.services,
        since=incident.opened_at,
        until=situation.restored_by(at),
        actions=situation.actions(at),
        next_steps=[*said, *situation.planned_steps(at)],
        next_update_at=update.next_update_at,
        next_update_word="" if update.next_update_at else _("when something changes"),
        published_at=at,
        url=f"{settings.SITE_URL}{incident.get_absolute_url()}",
    )
