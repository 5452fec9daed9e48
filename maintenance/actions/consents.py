"""What somebody must consent to, and who did: kept true as times, freezes and other work change."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from maintenance.actions.act import Act
from maintenance.actions.base import acting
from maintenance.audiences import is_duty_manager
from maintenance.models import Consent, Freeze, MaintenanceWindow, Status
from maintenance.models.timeline import (
    AboutConsent,
    ConsentAsked,
    ConsentGiven,
    ConsentOverridden,
    ConsentRefused,
    ConsentResolved,
)
from maintenance.overlaps import Overlap, conflicts
from portal import access
from portal.models import User
from portal.verbs import Refused, required

State = Consent.State
WORDS_LENGTH = 2_000


def keep_consents(act: Act, *, is_changed: bool, organisations: bool) -> None:
    """Write what the window needs consents for now, and resolve what it needs no more.

    `is_changed` says that what was agreed changed: then who had decided is asked again. `organisations`
    says whether the customers' side is asked already (from the announcement on); the vendor's always is.
    """
    needed = {
        found.key: found
        for found in conflicts(act.window, act.now)
        if organisations or found.organisation is None
    }
    for consent in act.window.consents.exclude(state=State.RESOLVED).order_by("pk"):
        key = (consent.organisation_id, consent.reason, consent.about)
        if needed.pop(key, None) is None:
            _set(act, consent, State.RESOLVED, ConsentResolved(consent=consent.pk))
        elif is_changed and consent.state != State.OPEN:
            _open_again(act, consent)
    for found in needed.values():
        _ask(act, found)


def _ask(act: Act, found: Overlap) -> None:
    consent = Consent.objects.create(
        window=act.window,
        organisation=found.organisation,
        reason=found.reason,
        about=found.about,
        asked_at=act.now,
    )
    act.record_due(ConsentAsked(consent=consent.pk), at=act.now)


def _open_again(act: Act, consent: Consent) -> None:
    """Asked anew; who had decided before is told by the timeline."""
    consent.decided_by = consent.decided_at = None
    consent.channel = consent.words = ""
    consent.asked_at = act.now
    _set(act, consent, State.OPEN, ConsentAsked(consent=consent.pk))


def _set(act: Act, consent: Consent, state: str, facts: AboutConsent) -> None:
    consent.state = state
    consent.save()
    act.record_due(facts, at=act.now)


# --- deciding ---


def give_consent(
    consent: Consent, *, words: str = "", by: User, now: datetime, channel: str, revision: int | None = None
) -> Consent:
    """An organisation's writer consents; for the vendor the approver or a duty manager, with a reason."""
    with acting("give_consent", consent.window, by=by, now=now, channel=channel, revision=revision) as act:
        found = _decidable(consent, by, words)
        _refuse_unless(found.state in (State.OPEN, State.REFUSED))
        _decide(act, found, State.GIVEN, words, ConsentGiven(consent=found.pk))
    consent.refresh_from_db()
    return consent


def refuse_consent(
    consent: Consent, *, words: str, by: User, now: datetime, channel: str, revision: int | None = None
) -> Consent:
    """The same people refuse, and say why: the window does not start unless it is moved or overridden."""
    with acting("refuse_consent", consent.window, by=by, now=now, channel=channel, revision=revision) as act:
        found = _decidable(consent, by, words)
        _refuse_unless(found.state in (State.OPEN, State.GIVEN))
        required(words, "words", _("Say why, so that the maintenance can be moved."))
        _decide(act, found, State.REFUSED, words, ConsentRefused(consent=found.pk))
    consent.refresh_from_db()
    return consent


def override_consent(
    consent: Consent, *, reason: str, by: User, now: datetime, channel: str, revision: int | None = None
) -> Consent:
    """A duty manager goes on without an organisation's consent; it is told the reason."""
    with acting(
        "override_consent", consent.window, by=by, now=now, channel=channel, revision=revision
    ) as act:
        found = Consent.objects.get(pk=consent.pk)
        if found.organisation_id is None:
            raise Refused(_("The vendor's own decision is given or refused, not overridden."), kind="state")
        _refuse_unless(found.state in (State.OPEN, State.REFUSED))
        required(reason, "reason", _("Say why; the organisation reads it."))
        _decide(act, found, State.OVERRIDDEN, reason, ConsentOverridden(consent=found.pk))
    consent.refresh_from_db()
    return consent


def may_decide(consent: Consent, user: User) -> bool:
    """Whether `user` may give or refuse this one: a writer of its organisation; for the vendor's own the
    window's approver or a duty manager."""
    if consent.organisation is not None:
        return not user.is_agent and access.may_write(user, consent.organisation)
    return user.is_unlimited and (user.pk == consent.window.approved_by_id or is_duty_manager(user))


def _decidable(consent: Consent, by: User, words: str) -> Consent:
    """The consent as it is now, if `by` may decide it."""
    found = Consent.objects.select_related("organisation", "window").get(pk=consent.pk)
    if not may_decide(found, by):
        reason = (
            _("The approver of the window or a duty manager decides this, with a reason.")
            if found.organisation is None
            else _("Only managers and members of the organisation that is asked decide this.")
        )
        raise Refused(reason, kind="permission")
    if found.organisation is None:
        required(words, "words", _("Say why it may go on nevertheless."))
    return found


def _refuse_unless(is_possible: bool) -> None:
    if not is_possible:
        raise Refused(_("This has been decided, or is not needed any more."), kind="state")


def _decide(act: Act, consent: Consent, state: str, words: str, facts: AboutConsent) -> None:
    words = words.replace("\0", "").strip()
    if len(words) > WORDS_LENGTH:
        raise Refused(_("Shorten the text to 2,000 characters."), field="words")
    consent.state, consent.words = state, words
    consent.decided_by, consent.decided_at, consent.channel = act.by, act.now, act.channel
    consent.save()
    act.record(facts)


def review_consents(window: MaintenanceWindow, *, now: datetime) -> MaintenanceWindow:
    """Look again whether other work, a P1 or a freeze stands in the window's way. By the machine."""
    with acting("keep_consents", window, by=None, now=now, channel="clockwork") as act:
        keep_consents(act, is_changed=False, organisations=act.window.status == Status.ANNOUNCED)
    return window


def windows_touched_by(freeze: Freeze) -> list[MaintenanceWindow]:
    """The announced windows that a freeze is about."""
    rows = MaintenanceWindow.objects.upcoming().filter(
        involved__organisation=freeze.organisation_id,
        starts_at__lt=freeze.ends_at,
        ends_at__gt=freeze.starts_at,
    )
    return list(rows.order_by("pk"))
