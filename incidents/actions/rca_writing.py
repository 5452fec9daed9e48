"""The RCA's text: drafted from the timeline, written, submitted, reviewed by a second person, revised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext as _

from incidents import rca_facts, rules
from incidents.actions.rca_base import TEXT_LENGTH, RCAAct, rca_acting, works_on, writers_of
from incidents.models import RCA, PreventionAction, RCAMoment, RCARedaction
from incidents.models.rca_timeline import (
    RCAApproved,
    RCADrafted,
    RCAReturned,
    RCARevised,
    RCASaved,
    RCASubmitted,
)
from portal.models import Organisation, User
from portal.verbs import Refused

MOST_ROWS = 300


@dataclass(frozen=True)
class MomentInput:
    at: datetime
    text: str


@dataclass(frozen=True)
class RedactionInput:
    words: str
    organisation: Organisation | None = None
    instead: str = "█████"


@dataclass(frozen=True)
class ActionInput:
    """A prevention action as it is written; `number` names one that is there already."""

    kind: str
    text: str
    owner: User | None = None
    due_on: date | None = None
    number: int | None = None


def draft_rca(
    rca: RCA,
    *,
    by: User,
    now: datetime,
    channel: str,
    author: User | None = None,
    revision: int | None = None,
) -> RCA:
    """Begin the text: the facts of the timeline are filled in, in the language and zone that are active."""
    with rca_acting("draft_rca", rca, by=by, now=now, channel=channel, revision=revision) as act:
        if author is not None and not works_on(author, act.rca):
            raise Refused(_("Only support staff write an RCA."), field="author")
        act.rca.author = author or by
        draft = rca_facts.draft_of(act.rca, act.now)
        for name in RCA.TEXTS:
            setattr(act.rca, name, draft.texts.get(name, ""))
        RCAMoment.objects.bulk_create(
            RCAMoment(rca=act.rca, at=moment.at, text=moment.text[:500], event=moment.event)
            for moment in draft.moments
        )
        act.rca.status = RCA.Status.DRAFT
        act.record(RCADrafted())
    return rca


def save_rca(
    rca: RCA,
    *,
    by: User,
    now: datetime,
    channel: str,
    texts: dict[str, str] | None = None,
    moments: Sequence[MomentInput] | None = None,
    redactions: Sequence[RedactionInput] | None = None,
    actions: Sequence[ActionInput] | None = None,
    revision: int | None = None,
) -> RCA:
    """Write texts, moments, redactions and actions of the draft; what is not given stays as it is.

    Actions that customers have read already change by their own verbs only.
    """
    with rca_acting("save_rca", rca, by=by, now=now, channel=channel, revision=revision) as act:
        changed = _write_texts(act.rca, texts or {})
        written = {
            "moments": moments is not None and _replace_moments(act.rca, moments),
            "redactions": redactions is not None and _replace_redactions(act.rca, redactions),
            "actions": actions is not None and _write_actions(act.rca, actions),
        }
        changed += [name for name, is_changed in written.items() if is_changed]
        if changed:
            act.record(RCASaved(fields=changed))
    return rca


def _write_texts(rca: RCA, texts: dict[str, str]) -> list[str]:
    changed = []
    for name, given in texts.items():
        if name not in RCA.TEXTS:
            raise Refused(_("An RCA has no such text."), field=name)
        text = given.replace("\0", "").replace("\r\n", "\n").strip()
        if len(text) > TEXT_LENGTH:
            raise Refused(_("Shorten the text to 50,000 characters."), field=name)
        if getattr(rca, name) != text:
            setattr(rca, name, text)
            changed.append(name)
    return changed


def _few(rows: Sequence[Any], field: str) -> None:
    if len(rows) > MOST_ROWS:
        raise Refused(_("Keep it to %(count)s rows.") % {"count": MOST_ROWS}, field=field)


def _line(text: str, field: str, length: int) -> str:
    words = " ".join(text.replace("\0", "").split())
    if not words or len(words) > length:
        raise Refused(_("Write 1 to %(count)s characters.") % {"count": length}, field=field)
    return words


def _replace_moments(rca: RCA, moments: Sequence[MomentInput]) -> bool:
    _few(moments, "moments")
    wanted = sorted((row.at, _line(row.text, "moments", 500)) for row in moments)
    rows = list(rca.moments.all())
    if wanted == sorted((row.at, row.text) for row in rows):
        return False
    events = {(row.at, row.text): row.event for row in rows}
    rca.moments.all().delete()
    RCAMoment.objects.bulk_create(
        RCAMoment(rca=rca, at=at, text=text, event=events.get((at, text))) for at, text in wanted
    )
    return True


def _replace_redactions(rca: RCA, redactions: Sequence[RedactionInput]) -> bool:
    _few(redactions, "redactions")
    wanted = [
        (
            row.organisation.pk if row.organisation else None,
            _line(row.words, "redactions", 300),
            row.instead[:300],
        )
        for row in redactions
    ]
    rows = list(rca.redactions.values_list("organisation_id", "words", "instead"))
    if wanted == rows:
        return False
    rca.redactions.all().delete()
    RCARedaction.objects.bulk_create(
        RCARedaction(rca=rca, organisation_id=whose, words=words, instead=instead)
        for whose, words, instead in wanted
    )
    return True


def _write_actions(rca: RCA, given: Sequence[ActionInput]) -> bool:
    """Rewrite the actions that nobody has read yet; numbers stay, and are never given twice."""
    _few(given, "actions")
    rows = {action.number: action for action in rca.actions.all()}
    promised = {number for number, action in rows.items() if action.first_due_on is not None}
    last, is_changed, kept = max(rows, default=0), False, set(promised)
    for row in given:
        if row.number in promised:
            continue
        if row.number is not None and row.number not in rows:
            raise Refused(_("There is no such action."), field="actions")
        last += row.number is None
        number = row.number or last
        kept.add(number)
        is_changed |= _write_action(rows.get(number) or PreventionAction(rca=rca, number=number), row)
    dropped = rca.actions.exclude(number__in=kept)
    is_changed |= bool(dropped)
    dropped.delete()
    return is_changed


def _write_action(action: PreventionAction, row: ActionInput) -> bool:
    if row.kind not in PreventionAction.Kind.values:
        raise Refused(_("Say whether it prevents, detects or mitigates."), field="actions")
    if row.owner is not None and not works_on(row.owner, action.rca):
        raise Refused(_("The owner of a prevention action works for us."), field="actions")
    before = (action.kind, action.text, action.owner_id, action.due_on)
    action.kind, action.text = row.kind, _line(row.text, "actions", 500)
    action.owner, action.due_on = row.owner, row.due_on
    if before == (action.kind, action.text, action.owner_id, action.due_on):
        return False
    action.save()
    return True


# --- review ---


def submit_rca(rca: RCA, *, by: User, now: datetime, channel: str, revision: int | None = None) -> RCA:
    """Ask for the review. Refused without root cause, impact, and a prevention action with owner and date."""
    with rca_acting("submit_rca", rca, by=by, now=now, channel=channel, revision=revision) as act:
        check_complete(act.rca)
        act.rca.status = RCA.Status.IN_REVIEW
        act.rca.reviewer = act.rca.reviewed_at = None
        act.record(RCASubmitted())
    return rca


def check_complete(rca: RCA) -> None:
    """Refused, with what to write, unless the text may go to its readers."""
    if not rca.root_cause.strip():
        raise Refused(_("Write the root cause first."), field="root_cause")
    if not rca.impact.strip():
        raise Refused(_("Write the impact first."), field="impact")
    actions = list(rca.actions.exclude(state=PreventionAction.State.DROPPED))
    if not actions:
        raise Refused(_("Add at least one prevention action, with an owner and a due date."), field="actions")
    for action in actions:
        if action.owner_id is None or action.due_on is None:
            raise Refused(
                _("Give prevention action %(number)s an owner and a due date.") % {"number": action.number},
                field="actions",
            )


def return_rca(
    rca: RCA, *, by: User, now: datetime, channel: str, reason: str, revision: int | None = None
) -> RCA:
    """Back to its author, with what to change. An approval that was given is void."""
    with rca_acting("return_rca", rca, by=by, now=now, channel=channel, revision=revision) as act:
        remark = act.remark(reason, _("Say what the author should change."))
        act.rca.status = RCA.Status.DRAFT
        act.rca.reviewer = act.rca.reviewed_at = None
        act.record(RCAReturned(remark=remark.pk))
    return rca


def approve_rca(rca: RCA, *, by: User, now: datetime, channel: str, revision: int | None = None) -> RCA:
    """A second person, who wrote nothing of it, answers for the text."""
    with rca_acting("approve_rca", rca, by=by, now=now, channel=channel, revision=revision) as act:
        refusal = rules.second_person_refusal(by.pk, writers_of(act.rca))
        if refusal:
            raise Refused(_(refusal), kind="permission")
        if act.rca.reviewed_at is not None:
            raise Refused(_("The text is approved already. Publish it, or return it."), kind="state")
        check_complete(act.rca)
        act.rca.reviewer, act.rca.reviewed_at = by, act.now
        act.record(RCAApproved())
    return rca


def revise_rca(rca: RCA, *, by: User, now: datetime, channel: str, revision: int | None = None) -> RCA:
    """Begin the next version. What is published stays readable; the new text is reviewed as the first was."""
    with rca_acting("revise_rca", rca, by=by, now=now, channel=channel, revision=revision) as act:
        _begin_again(act)
        act.record(RCARevised())
    return rca


def _begin_again(act: RCAAct) -> None:
    act.rca.status = RCA.Status.DRAFT
    act.rca.author = act.person
    act.rca.reviewer = act.rca.reviewed_at = None
