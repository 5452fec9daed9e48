"""Who looks after the people of an organisation, and what of a membership cannot hold."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from portal import access, memberships
from portal.login_address import validate_login_address
from portal.models import Membership, Organisation, StaffRole, User, Visibility
from portal.models.accounts import Role
from portal.verbs import Refused, required

RANKS = (Role.VIEWER, Role.MEMBER, Role.MANAGER)


def refusal(organisation: Organisation, user: User) -> str:
    """ "" if `user` looks after the organisation's people, else the translated reason."""
    if not Organisation.objects.visible_to(user).filter(pk=organisation.pk).exists():
        return _("Only people of the organisation and support staff can do this.")
    if user.has_staff_role(StaffRole.HEAD_OF_SUPPORT) or access.may_manage(user, organisation):
        return ""
    return _("The managers of your organisation look after its people. Ask one of them.")


def check(organisation: Organisation, by: User) -> None:
    reason = refusal(organisation, by)
    if reason:
        raise Refused(reason, kind="permission")


def login_address(email: str) -> str:
    """The address in its one form, lower case. Refused for what is none, and for what nobody can sign in by."""
    address = required(email, "email", _("Give the e-mail address.")).lower()
    try:
        validate_email(address)
    except ValidationError as error:
        raise Refused(_("This is not an e-mail address."), field="email") from error
    try:
        validate_login_address(address)
    except ValidationError as error:
        raise Refused(error.messages[0], field="email") from error
    return address


def check_membership(membership: Membership) -> None:
    """Refused for what cannot hold together."""
    if membership.role not in Role.values:
        raise Refused(_("Choose manager, member or viewer."), field="role")
    if membership.visibility not in Visibility.values:
        raise Refused(_("Choose one of the three."), field="visibility")
    try:
        membership.clean()
    except ValidationError as error:
        field, reasons = next(iter(error.message_dict.items()))
        raise Refused(reasons[0], field=field) from error
    hears = {
        "is_p1_contact": membership.is_p1_contact,
        "is_escalation_contact": membership.is_escalation_contact,
    }
    for field, is_contact in hears.items():
        if is_contact and membership.visibility != Visibility.ALL:
            raise Refused(_("A contact sees all incidents: how else would they hear of them?"), field=field)


def check_last_manager(membership: Membership, by: User, reason: str) -> None:
    """Before a manager is one no more. Staff may leave an organisation without any, and say why."""
    if memberships.has_other_manager(membership):
        return
    if not by.is_agent:
        raise Refused(
            _("This is the last manager. Make somebody else a manager first."), kind="state", field="role"
        )
    required(reason, "reason", _("This is the last manager. Say why the organisation needs none."))


def check_not_raised(membership: Membership, role: str, by: User) -> None:
    if membership.user_id == by.pk and RANKS.index(Role(role)) > RANKS.index(Role(membership.role)):
        raise Refused(_("Nobody raises their own role. Ask a manager."), kind="permission", field="role")
