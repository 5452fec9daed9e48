"""What a window says in the standard format: a maintenance notice, cut to what its reader may know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _

from maintenance.audiences import affected_of
from maintenance.models import Consent, Freeze, MaintenanceWindow, Status
from portal.models import Organisation
from portal.models.service_impact import Impact
from portal.standard_form import AffectedService, Kind, NextStep, StandardForm
from portal.templatetags.portal_tags import moment

More = tuple[str, str]


def window_form(
    window: MaintenanceWindow,
    organisations: Sequence[Organisation] | None,
    *,
    at: datetime,
    said: More | None = None,
) -> StandardForm:
    """The window as it is at `at`, in the active language and zone.

    For a reader of `organisations`: their services and their own consents; None means staff, who read all.
    `said` is a label and what a person wrote: a reason, a word about the progress.
    """
    return Situation(window, organisations, at).form(said)


@dataclass(frozen=True)
class Situation:
    """A window, for whom, and when."""

    window: MaintenanceWindow
    organisations: Sequence[Organisation] | None
    at: datetime

    def form(self, said: More | None) -> StandardForm:
        window = self.window
        next_update_at = self.next_update_at()
        is_told_later = next_update_at is None and not window.is_over
        return StandardForm(
            kind=Kind.MAINTENANCE_NOTICE,
            reference=window.reference,
            title=window.title,
            state=window.status,
            state_word=str(window.get_status_display()),
            what=window.description,
            services=self.services(),
            since=window.started_at or window.starts_at,
            until=self.until(),
            actions=self.done(),
            next_steps=self.next_steps(),
            next_update_at=next_update_at,
            next_update_word=_("when something changes") if is_told_later else "",
            more=[*([said] if said and said[1] else []), *self.more()],
            published_at=self.at,
            url=f"{settings.SITE_URL}{window.get_absolute_url()}",
        )

    def services(self) -> list[AffectedService]:
        if self.organisations is None:
            rows = self.window.affected.select_related("service")
        else:
            rows = affected_of(self.window, self.organisations)
        return [AffectedService(row.service.name, row.impact, str(Impact(row.impact).label)) for row in rows]

    def until(self) -> datetime | None:
        """The true end, else the one that is agreed or told; none once that has passed."""
        window = self.window
        if window.ended_at is not None and window.status != Status.CANCELLED:
            return window.ended_at
        return None if window.overrun_at is not None and window.ends_at <= self.at else window.ends_at

    def done(self) -> list[str]:
        """What has come about so far, with its times."""
        window, over = self.window, self.window.is_over and self.window.status != Status.CANCELLED
        facts = [
            (window.started_at, _("The work started: %(at)s.")),
            (window.overrun_at, _("The agreed end passed while the work was not over: %(at)s.")),
            (window.rollback_ordered_at, _("It was decided to take the work back: %(at)s.")),
            (window.ended_at if over else None, _("The work ended: %(at)s.")),
        ]
        return [words % {"at": moment(at)} for at, words in facts if at is not None]

    def next_steps(self) -> list[NextStep]:
        window = self.window
        owner, ends = str(window.owner), self.until()
        decision = NextStep(
            _("If it does not go as planned, we decide whether to take it back."),
            owner,
            window.rollback_decision_at,
        )
        is_open = not window.decision and window.rollback_decision_at > self.at
        steps: dict[str, list[NextStep]] = {
            Status.ANNOUNCED: [
                NextStep(_("The work starts."), owner, window.starts_at),
                decision,
                NextStep(_("The work ends."), owner, ends),
            ],
            Status.IN_PROGRESS: [
                *([decision] if is_open else []),
                NextStep(_("The work ends."), owner, ends),
            ],
            Status.OVERRUN: [NextStep(_("The work ends, or is taken back."), owner, ends)],
            Status.ROLLING_BACK: [NextStep(_("The work is taken back, and that is verified."), owner, ends)],
            Status.VERIFYING: [NextStep(_("We verify that all is well, and close it."), owner, ends)],
        }
        return steps.get(window.status, [])

    def next_update_at(self) -> datetime | None:
        """When the reader hears again at the latest: as said, else at the end."""
        window = self.window
        if not window.is_running:
            return None
        moments = [at for at in (window.next_update_at, self.until()) if at is not None and at > self.at]
        return moments[0] if moments else None

    def more(self) -> list[More]:
        found = []
        if self.window.outcome:
            found.append((_("Outcome"), self.window.outcome))
        conditions = [f"{row.measure}: {row.limit}" for row in self.window.conditions.all()]
        if conditions:
            found.append((_("It is taken back if"), _listed(conditions)))
        asked = self.asked()
        if asked:
            found.append((_("Your consent is asked"), _listed(asked)))
        return found

    def asked(self) -> list[str]:
        """What the reader's own organisations have not decided yet."""
        if self.organisations is None or self.window.status != Status.ANNOUNCED:
            return []
        rows = self.window.consents.open().filter(organisation__in=[o.pk for o in self.organisations])
        return [consent_words(consent) for consent in rows.order_by("pk")]


def _listed(lines: Sequence[str]) -> str:
    """Markdown: one as it is, several as a list."""
    return lines[0] if len(lines) == 1 else "\n" + "\n".join(f"- {line}" for line in lines)


def consent_words(consent: Consent) -> str:
    """Why somebody is asked: for the organisation's own people, or (without one) for staff."""
    words = str(consent.get_reason_display())
    if consent.reason == Consent.Reason.FREEZE:
        freeze = Freeze.objects.filter(pk=int(consent.about), organisation=consent.organisation_id).first()
        return f"{words} ({freeze.reason})" if freeze else words
    return f"{words} ({consent.about})" if consent.organisation_id is None else words
