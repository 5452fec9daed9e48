"""Who wrote a mail, and what proves it. A `From:` alone proves nothing.

A customer is proven by the token in the address that we gave to them alone, or by our own mail server's
`Authentication-Results`; a member of staff only by both. Whatever is not proven is held for staff.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from incidents.intake.parsed import ParsedMail
from incidents.intake.threads import Thread, reply_addresses
from incidents.models import Incident
from incidents.rules import gettext_noop
from incidents.sight import may_see
from portal import access
from portal.models import Membership, Organisation, User

NO_SENDER = gettext_noop("It names no sender.")
TWO_SENDERS = gettext_noop("It names more than one sender.")
UNKNOWN = gettext_noop("Nobody here has this address.")
INACTIVE = gettext_noop("This person is not active any more.")
FAILED = gettext_noop("Our mail server says that the sender is forged.")
UNPROVEN = gettext_noop("Nothing proves who sent it.")
STAFF_UNPROVEN = gettext_noop(
    "It claims to be from one of us, and that takes both a reply address and a proof."
)
NOT_THEIR_ADDRESS = gettext_noop("It was sent to a reply address that is not the sender's.")
NOT_THEIR_MAIL = gettext_noop("It answers a mail of ours that went to somebody else.")
STRANGER = gettext_noop("The sender does not belong to the organisation.")
UNSEEN = gettext_noop("The sender may not see this incident.")
VIEWER = gettext_noop("The sender may read but not write for the organisation.")
NOBODYS = gettext_noop("The sender may not write for any organisation.")
SEVERAL = gettext_noop("The sender writes for several organisations: choose one.")


@dataclass(frozen=True)
class Sender:
    """Who is said to have written a mail. `doubt` is "" when it is proven that they did, and may."""

    user: User | None
    doubt: str = ""


def sender_of(mail: ParsedMail, thread: Thread | None) -> Sender:
    """The sender, and every reason against believing it, the plainest first."""
    if len(set(mail.from_addresses)) != 1:
        return Sender(None, TWO_SENDERS if mail.from_addresses else NO_SENDER)
    user = User.objects.filter(email__iexact=mail.from_addresses[0]).first()
    if user is None:
        return Sender(None, UNKNOWN)
    return Sender(user, _doubt(user, mail, thread))


def _doubt(user: User, mail: ParsedMail, thread: Thread | None) -> str:
    if not user.is_active:
        return INACTIVE
    if mail.authentication == "fail":
        return FAILED
    doubt = _doubt_of_place(user, mail, thread) or _doubt_of_proof(user, mail, thread)
    if doubt or thread is None or user.is_agent:
        return doubt
    return doubt_of_writer(user, thread.incident)


def _doubt_of_place(user: User, mail: ParsedMail, thread: Thread | None) -> str:
    """Whether it was theirs to answer. A wrong address and somebody else's are told apart nowhere."""
    if thread is None:
        return NOT_THEIR_ADDRESS if reply_addresses(mail) else ""
    if thread.recipient.pk == user.pk:
        return ""
    return NOT_THEIR_ADDRESS if thread.has_token else NOT_THEIR_MAIL


def _doubt_of_proof(user: User, mail: ParsedMail, thread: Thread | None) -> str:
    has_token = thread is not None and thread.has_token  # their own, by now
    is_passed = mail.authentication == "pass"
    if user.is_agent:
        return "" if has_token and is_passed else STAFF_UNPROVEN
    return "" if has_token or is_passed else UNPROVEN


def doubt_of_membership(user: User, organisation: Organisation) -> str:
    """Why this customer may not write for the organisation, or ""."""
    if not organisation.is_active or access.membership(user, organisation) is None:
        return STRANGER
    return "" if access.may_write(user, organisation) else VIEWER


def doubt_of_writer(user: User, incident: Incident) -> str:
    """Why this customer may not write in the incident, or ""."""
    doubt = doubt_of_membership(user, incident.organisation)
    return doubt or ("" if may_see(user, incident) else UNSEEN)


def home_of(user: User) -> tuple[Organisation | None, str]:
    """The one organisation that a customer writes for, or the reason why there is none to choose."""
    writing = Membership.objects.filter(user=user, role__in=access.WRITERS, organisation__is_active=True)
    found = [membership.organisation for membership in writing.select_related("organisation")[:2]]
    if len(found) == 1:
        return found[0], ""
    return None, SEVERAL if found else NOBODYS


def may_be_tied(user: User | None, thread: Thread) -> bool:
    """Whether a held mail is tied to its incident: one of somebody of another organisation is not at all.

    An address that nobody here has may be the addressee's own second one: then the token speaks for it.
    """
    if user is None:
        return thread.has_token
    return user.is_agent or access.membership(user, thread.incident.organisation) is not None


def is_ours(address: str) -> bool:
    """Whether an address is the product's own: no person's, though at our domain."""
    domain = address.lower().rpartition("@")[2]
    if address.lower() == settings.SUPPORT_EMAIL.lower():
        return True
    at_home = domain == settings.MAIL_DOMAIN.lower()
    return at_home and not User.objects.filter(email__iexact=address, is_active=True).exists()
