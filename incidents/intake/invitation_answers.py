"""What people answer to invitations by their calendar programs, and what else is written to those addresses.

The address that an invitation came from holds a token, which is one person's for one window: another sender,
another attendee or another event is held for staff, as is everything that is no plain answer. Programs that
write to the service's own address instead are matched by event, attendee and a proven sender.
"""

from __future__ import annotations

import re
from datetime import datetime

from django.conf import settings
from django.db import transaction

from incidents.intake import senders
from incidents.intake.inbox import Result, State
from incidents.intake.parsed import CalendarAnswer, ParsedMail
from incidents.intake.threads import IDS, named_ids, reply_addresses
from incidents.models import InboundMessage
from incidents.rules import gettext_noop
from maintenance.actions.invitations import answer_invitation
from maintenance.models import Invitation, MaintenanceWindow
from portal.models import OutboxMessage
from portal.verbs import Refused

Outcome = InboundMessage.Outcome
ANSWERS = {
    "ACCEPTED": Invitation.Answer.ACCEPTED,
    "TENTATIVE": Invitation.Answer.TENTATIVE,
    "DECLINED": Invitation.Answer.DECLINED,
}
_ADDRESS = re.compile(r"maintenance\+([0-9a-f]{48})", re.ASCII)

NO_ANSWER = gettext_noop("It answers a maintenance notice in words: a person decides what becomes of it.")
NO_INVITATION = gettext_noop("It was sent to the address of an invitation that is not the sender's.")
NOT_INVITED = gettext_noop("It answers an invitation that the sender never got.")
OTHER_EVENT = gettext_noop("It was sent to the address of another invitation than it answers.")
OTHER_ATTENDEE = gettext_noop("It answers in the name of somebody else than its sender.")
OTHER_ANSWER = gettext_noop("It answers neither accepted nor tentative nor declined.")
OTHER_TIME = gettext_noop("It proposes another time for a maintenance window.")
NO_NEWS = gettext_noop("This answer, or a later one, was recorded before.")


def take_answer(message: InboundMessage, mail: ParsedMail, now: datetime) -> Result | None:
    """What becomes of a mail about an invitation; None for any other, and for what machines send there."""
    addresses, answer = invitation_addresses(mail), mail.calendar
    if answer is not None:
        return _by_token(addresses, mail, answer, now) if addresses else _by_event(mail, answer, now)
    if mail.automatic or reply_addresses(mail):
        return None
    is_about = bool(addresses) or _names_a_notice(mail)
    return Result(state=State.HELD, reason=NO_ANSWER) if is_about else None


def invitation_addresses(mail: ParsedMail) -> list[str]:
    """The local parts of every address of the mail that means an invitation of ours, valid or not."""
    parts = (address.lower().rpartition("@") for address in mail.recipients)
    ours = (local for local, _, domain in parts if domain == settings.MAIL_DOMAIN.lower())
    return list(dict.fromkeys(local for local in ours if local.startswith("maintenance+")))


def _names_a_notice(mail: ParsedMail) -> bool:
    """Whether it answers a mail of ours about a maintenance window."""
    sent = OutboxMessage.objects.filter(message_id__in=named_ids(mail), subject_key__startswith="MW-")
    return sent.exists()


def _by_token(addresses: list[str], mail: ParsedMail, answer: CalendarAnswer, now: datetime) -> Result:
    tokens = [match[1] for local in addresses[:IDS] if (match := _ADDRESS.fullmatch(local))]
    rows = Invitation.objects.filter(token__in=tokens).order_by("pk")
    found = list(rows.select_related("person", "window"))
    found.sort(key=lambda row: row.person.email.lower() not in mail.from_addresses)
    doubt = _doubt(found[0], mail) if found else NO_INVITATION
    return _held(doubt) if doubt else _answered(found[0], answer, now)


def _doubt(invitation: Invitation, mail: ParsedMail) -> str:
    """Why the holder of the token is not believed, or ""."""
    person = invitation.person
    if set(mail.from_addresses) != {person.email.lower()}:
        return NO_INVITATION
    if not person.is_active:
        return senders.INACTIVE
    if mail.authentication == "fail":
        return senders.FAILED
    return ""


def _by_event(mail: ParsedMail, answer: CalendarAnswer, now: datetime) -> Result | None:
    """Without a token: only what is proven otherwise is taken. Another's event is no business of ours."""
    window = MaintenanceWindow.objects.filter(uid=answer.uid).first() if answer.uid else None
    if window is None:
        return None
    sender = senders.sender_of(mail, None)
    if sender.user is None or sender.doubt:
        return _held(sender.doubt)
    rows = window.invitations.filter(person=sender.user)
    invitation = rows.select_related("person", "window").first()
    return _answered(invitation, answer, now) if invitation else _held(NOT_INVITED)


def _answered(invitation: Invitation, answer: CalendarAnswer, now: datetime) -> Result:
    """A believed sender's calendar: recorded if it is a plain answer of theirs to this very event."""
    doubt = _doubt_of_answer(invitation, answer)
    if doubt:
        return _held(doubt)
    try:
        with transaction.atomic():
            is_news = answer_invitation(
                invitation,
                answer=ANSWERS[answer.attendees[0][1]],
                sequence=answer.sequence,
                by=invitation.person,
                now=now,
                channel="calendar",
                written_at=answer.written_at,
                words=answer.comment,
            )
    except Refused as refused:
        return _held(refused.reason)
    return Result(outcome=Outcome.ANSWERED, reason="" if is_news else NO_NEWS)


def _doubt_of_answer(invitation: Invitation, answer: CalendarAnswer) -> str:
    if answer.problem:
        return answer.problem
    if answer.uid != invitation.window.uid:
        return OTHER_EVENT
    if answer.method == "COUNTER":
        return OTHER_TIME
    if [address for address, _said in answer.attendees] != [invitation.person.email.lower()]:
        return OTHER_ATTENDEE
    return "" if answer.attendees[0][1] in ANSWERS else OTHER_ANSWER


def _held(reason: str) -> Result:
    return Result(state=State.HELD, reason=reason)
