"""What people answer to invitations, and the private feed that their calendars subscribe to."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from maintenance import audiences
from maintenance.actions.act import Act
from maintenance.actions.base import acting
from maintenance.actions.consents import WORDS_LENGTH, give_consent, may_decide, refuse_consent
from maintenance.models import CalendarFeed, Consent, Invitation, Status
from maintenance.models.timeline import InvitationAnswered
from portal.models import Organisation, User
from portal.verbs import Refused

Answer = Invitation.Answer
ANSWERS = (Answer.ACCEPTED, Answer.TENTATIVE, Answer.DECLINED)


def answer_invitation(
    invitation: Invitation,
    *,
    answer: str,
    sequence: int,
    by: User | None,
    now: datetime,
    channel: str,
    written_at: datetime | None = None,
    words: str = "",
) -> bool:
    """Record what the invited person answers to the version `sequence` of the event; whether it is news.

    An answer to an older version, an earlier one to the same version (by `written_at`, as its calendar says,
    which is believed within the invitation's life) and the same one again change nothing. Accepting the
    current version before the start also gives the open consents of their organisation, declining refuses
    them, if they may write for it. Refused for anybody else, and for a version that was never told.
    """
    if by is None or by.pk != invitation.person_id:
        raise Refused(_("Only whoever was invited answers."), kind="permission")
    organisation = audiences.organisation_of(invitation.window, by)
    if organisation is None or not audiences.may_hear(invitation.window, by):
        raise Refused(_("This invitation is not theirs any more."), kind="permission")
    if answer not in ANSWERS:
        raise Refused(_("Answer with accepted, tentative or declined."), field="answer")
    with transaction.atomic():
        # As the machine, for readers have a calendar too and answer for nobody but themselves.
        with acting("answer_invitation", invitation.window, by=None, now=now, channel=channel) as act:
            act.by = by
            is_news = _record(act, invitation, answer, sequence, min(written_at or act.now, act.now))
        window = invitation.window
        if is_news and sequence == window.sequence and window.status == Status.ANNOUNCED:
            _decide_consents(invitation, organisation, answer, words, by=by, now=now, channel=channel)
    return is_news


def _record(act: Act, invitation: Invitation, answer: str, sequence: int, at: datetime) -> bool:
    invitation.refresh_from_db(fields=["answer", "answered_at", "answered_sequence"])
    if not 0 <= sequence <= act.window.sequence:
        raise Refused(_("It answers a version of the invitation that was never sent."), field="sequence")
    at = max(at, invitation.invited_at)
    known = -1 if invitation.answered_sequence is None else invitation.answered_sequence
    is_older = sequence < known or (
        sequence == known and invitation.answered_at is not None and at < invitation.answered_at
    )
    if is_older or (sequence, answer) == (known, invitation.answer):
        return False
    invitation.answer, invitation.answered_at, invitation.answered_sequence = answer, at, sequence
    invitation.save(update_fields=["answer", "answered_at", "answered_sequence"])
    act.record(InvitationAnswered(invitation=invitation.pk, answer=answer, sequence=sequence))
    return True


def _decide_consents(
    invitation: Invitation,
    organisation: Organisation,
    answer: str,
    words: str,
    *,
    by: User,
    now: datetime,
    channel: str,
) -> None:
    """What is open is decided, and what this person had decided the other way by the same door."""
    if answer == Answer.TENTATIVE:
        return
    other = Consent.State.REFUSED if answer == Answer.ACCEPTED else Consent.State.GIVEN
    undecided = Q(state=Consent.State.OPEN) | Q(state=other, decided_by=by, channel=channel)
    words = words.strip()[:WORDS_LENGTH]
    for consent in invitation.window.consents.filter(undecided, organisation=organisation):
        if not may_decide(consent, by):
            continue
        if answer == Answer.ACCEPTED:
            give_consent(consent, words=words, by=by, now=now, channel=channel)
        else:
            why = words or _("The invitation was declined.")
            refuse_consent(consent, words=why, by=by, now=now, channel=channel)


# --- the feed ---


def rotate_feed(person: User, *, now: datetime) -> str:
    """A new token of 256 random bits for the person's feed, shown this once; the old one is dead."""
    token = secrets.token_urlsafe(32)
    fields = {"token_digest": CalendarFeed.digest(token), "created_at": now}
    CalendarFeed.objects.update_or_create(person=person, defaults=fields)
    return token


def revoke_feed(person: User) -> None:
    """The person's feed is no more, whatever calendar still asks for it."""
    CalendarFeed.objects.filter(person=person).delete()


def feed_of(token: str) -> CalendarFeed | None:
    """The feed of a token whose person may still read something; None for every other token alike."""
    feed = (
        CalendarFeed.objects.filter(token_digest=CalendarFeed.digest(token)).select_related("person").first()
    )
    if feed is None:
        return None
    is_reader = feed.person.is_agent or Organisation.objects.visible_to(feed.person).exists()
    return feed if is_reader else None
