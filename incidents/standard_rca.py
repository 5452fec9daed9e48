"""An RCA in the standard format, for one organisation: page, mail, PDF, API and webhook show this form."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents.models import RCA
from incidents.present import LABELS, TARGET_LABELS
from incidents.rca_reading import ActionView, Reading, moment_of
from portal.models.service_impact import Impact
from portal.standard_form import AffectedService, Kind, NextStep, StandardForm
from portal.templatetags.portal_tags import moment

TEXT_LABELS = {
    "summary": gettext_lazy("Summary"),
    "impact": gettext_lazy("Impact"),
    "detection": gettext_lazy("Detection"),
    "root_cause": gettext_lazy("Root cause"),
    "contributing_factors": gettext_lazy("Contributing factors"),
    "went_well": gettext_lazy("What went well"),
    "went_badly": gettext_lazy("What went badly"),
}
IMPACTS = list(Impact)


def rca_form(reading: Reading) -> StandardForm:
    """The form of one version, worded in the active language and zone."""
    return StandardForm(
        kind=Kind.RCA,
        reference=reading.content["reference"],
        title=reading.content["title"],
        state=RCA.Status.PUBLISHED,
        state_word=_("RCA, version %(number)s") % {"number": reading.version.number},
        what=reading.text["summary"] or reading.content["title"],
        url=url_of(reading),
        published_at=reading.version.published_at,
        impact=reading.text["impact"],
        services=services_of(reading),
        since=reading.at("opened_at") or reading.at("starts_at"),
        until=reading.at("resolved_at") or reading.at("ended_at"),
        next_steps=[
            NextStep(action.text, action.owner, action.due_on, action.state, action.evidence)
            for action in reading.actions
        ],
        next_update_word=_("when a prevention action moves or is done"),
        more=_more(reading),
    )


def action_form(reading: Reading, action: ActionView, at: datetime) -> StandardForm:
    """What became of one prevention action at `at`, as next steps."""
    return StandardForm(
        kind=Kind.NEXT_STEPS,
        reference=reading.content["reference"],
        title=_("Prevention action %(number)s: %(text)s") % {"number": action.number, "text": action.text},
        state=action.state,
        state_word=action.state_word,
        what=action.text,
        url=url_of(reading),
        published_at=at,
        next_steps=[NextStep(action.text, action.owner, action.due_on, action.state, action.evidence)],
        next_update_word=_("when a prevention action moves or is done"),
    )


def url_of(reading: Reading) -> str:
    """Where the version is read."""
    return f"{settings.SITE_URL}{path_of(reading)}?version={reading.version.number}"


def path_of(reading: Reading) -> str:
    reference = reading.content["reference"]
    name = "incidents:window_rca" if reading.version.rca.window_id else "incidents:rca"
    return reverse(name, args=[reference])


def services_of(reading: Reading) -> list[AffectedService]:
    """Each service once, with the worst that was felt of it."""
    worst: dict[str, str] = {}
    for row in reading.content["services"]:
        before = worst.get(row["name"], Impact.NONE)
        worst[row["name"]] = max(before, row["impact"], key=IMPACTS.index)
    return [AffectedService(name, impact, str(Impact(impact).label)) for name, impact in worst.items()]


def _more(reading: Reading) -> list[tuple[str, str]]:
    parts = [(str(TEXT_LABELS[name]), reading.text[name]) for name in RCA.TEXTS[2:]]
    parts.insert(1, (_("Timeline"), "\n".join(f"- {moment(at)}: {text}" for at, text in reading.moments)))
    parts.append(
        (_("What was promised, and kept"), "\n".join(f"- {line}" for line in promise_lines(reading)))
    )
    return [(label, text) for label, text in parts if text]


def promise_lines(reading: Reading) -> list[str]:
    """What was promised to the organisation, with its verdict, one line each."""
    return [f"{label}: {verdict}" for label, verdict, _is_kept in promises(reading)]


def promises(reading: Reading) -> list[tuple[str, str, bool]]:
    """(what, verdict in words, whether it was kept)."""
    found = []
    for row in reading.content["promised"]:
        if row["what"] == "status_update":
            counts = {"kept": row["kept"], "total": row["total"]}
            verdict = _("%(kept)s of %(total)s in time") % counts
            found.append((_("Status updates"), verdict, row["kept"] == row["total"]))
            continue
        found.append((f"{promise_label(row['what'])} ({row['level']})", _verdict(row), row["is_kept"]))
    return found


def promise_label(what: str) -> str:
    """A clock's kind or deliverable in words."""
    return {str(key): str(label) for key, label in (LABELS | TARGET_LABELS).items()}[what]


def _verdict(row: dict[str, str | None]) -> str:
    due, met = (moment(moment_of(row[name] or "")) if row[name] else "" for name in ("due_at", "met_at"))
    told = {"due": due, "met": met}
    if not met:
        return _("due by %(due)s, missed") % told
    if not row["is_kept"]:
        return _("due by %(due)s, late at %(met)s") % told
    return _("due by %(due)s, kept at %(met)s") % told if due else _("kept at %(met)s") % told
