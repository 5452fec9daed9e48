"""The level: claimed by the customer, validated by staff, contested, decided."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from incidents.actions.base import Refused, acting, required
from incidents.models import Contest, Incident, Level, LevelValidation
from incidents.models.timeline import ContestDecided, LevelValidated, LoweringContested
from portal.models import User


def validate_level(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    level: str,
    reason: str,
    revision: int | None = None,
) -> Incident:
    """Staff's verdict on the level, with a reason. The same level confirms; another one moves the clocks."""
    if level not in Level.values:
        raise Refused(_("Choose P1, P2 or P3."), field="level")
    with acting("validate_level", incident, by=by, now=now, channel=channel, revision=revision) as act:
        reason = required(reason, "reason", _("Give a reason: the customer will read it."))
        validation = LevelValidation.objects.create(
            incident=act.incident,
            by=by,
            level_from=act.incident.level,
            level_to=level,
            was_validated=act.incident.validated_level,
            reason=reason,
            at=act.now,
        )
        act.incident.validated_level = level
        act.record(LevelValidated(level_from=act.incident.level, level_to=level, validation=validation.pk))
    return incident


def open_lowering(incident: Incident) -> LevelValidation | None:
    """The lowering that can be contested: the latest verdict, if it lowered in this cycle."""
    latest = incident.validations.order_by("-pk").first()
    if latest is None or not latest.is_lowering:
        return None
    reopened = incident.events.filter(kind="reopened").order_by("-pk").first()
    return None if reopened and reopened.at >= latest.at else latest


def contest_lowering(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    reason: str,
    revision: int | None = None,
) -> Incident:
    """The customer objects to a lowering; a duty manager will decide."""
    with acting("contest_lowering", incident, by=by, now=now, channel=channel, revision=revision) as act:
        reason = required(reason, "reason", _("Say why the higher level is right."))
        lowering = open_lowering(act.incident)
        if lowering is None:
            raise Refused(_("The level was not lowered, so there is nothing to contest."), kind="state")
        if Contest.objects.filter(validation=lowering).exists():
            raise Refused(
                _("This lowering has been contested already; reply to add what is new."), kind="state"
            )
        contest = Contest.objects.create(validation=lowering, by=by, reason=reason, at=act.now)
        act.record(LoweringContested(validation=lowering.pk, contest=contest.pk))
    return incident


def decide_contest(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    is_upheld: bool,
    reason: str,
    revision: int | None = None,
) -> Incident:
    """A duty manager's decision. Upheld: the clocks run as if the lowering had never happened."""
    with acting("decide_contest", incident, by=by, now=now, channel=channel, revision=revision) as act:
        reason = required(reason, "reason", _("Give a reason: the customer will read it."))
        lowering = open_lowering(act.incident)
        contest = Contest.objects.filter(validation=lowering, decided_at=None).first() if lowering else None
        if contest is None or lowering is None:
            raise Refused(_("There is no open contest to decide."), kind="state")
        contest.decided_by, contest.decided_at = by, act.now
        contest.is_upheld, contest.decision_reason = is_upheld, reason
        contest.save()
        level_to = lowering.level_from if is_upheld else act.incident.level
        if is_upheld:
            act.incident.validated_level = lowering.level_from
        act.record(
            ContestDecided(
                validation=lowering.pk,
                contest=contest.pk,
                is_upheld=is_upheld,
                level_from=act.incident.level,
                level_to=level_to,
            )
        )
    return incident
