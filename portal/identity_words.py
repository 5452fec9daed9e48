"""Why somebody did not come in by an identity provider: what their page says, and what managers read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

CLAIMED = _("Your organisation's identity provider let you in, and the portal did not.")


@dataclass(frozen=True)
class Reason:
    """`text` is for whoever stands at the door, `what_to_do` too; `status` is the answer's."""

    text: Any
    what_to_do: Any
    status: int = 403


TRY_AGAIN = _("Go back to the sign-in page and begin again.")
ASK_A_MANAGER = _("Ask a manager of your organisation in the portal.")
TELL_YOUR_IT = _(
    "Tell your own IT: they look after the identity provider. A manager sees the details in the portal."
)

REASONS = {
    "state": Reason(
        _("This sign-in was begun elsewhere, took too long, or was used already."), TRY_AGAIN, 400
    ),
    "cancelled": Reason(
        _("The sign-in was cancelled at your organisation's identity provider."), TRY_AGAIN, 400
    ),
    "denied": Reason(_("Your organisation's identity provider did not let you in."), TELL_YOUR_IT, 400),
    "code": Reason(
        _("Your organisation's identity provider did not confirm the sign-in: it may have taken too long."),
        TRY_AGAIN,
        400,
    ),
    "client": Reason(
        _("Your organisation's identity provider does not know the portal any more."), TELL_YOUR_IT, 502
    ),
    "nonce": Reason(_("The answer belongs to another sign-in."), TRY_AGAIN, 400),
    "again": Reason(_("Two sign-ins came at the same moment."), TRY_AGAIN, 409),
    "unreachable": Reason(_("Your organisation's identity provider cannot be reached."), TELL_YOUR_IT, 502),
    "discovery": Reason(
        _("What your organisation's identity provider says of itself cannot be used."), TELL_YOUR_IT, 502
    ),
    "issuer": Reason(
        _("Another identity provider answered than the one that was set up."), TELL_YOUR_IT, 502
    ),
    "keys": Reason(_("The keys of your organisation's identity provider cannot be read."), TELL_YOUR_IT, 502),
    "token": Reason(
        _("What your organisation's identity provider says cannot be trusted: it is not signed as agreed."),
        TELL_YOUR_IT,
        502,
    ),
    "userinfo": Reason(
        _("What your organisation's identity provider says does not fit together."), TELL_YOUR_IT, 502
    ),
    "unreadable": Reason(
        _("The answer of your organisation's identity provider cannot be read."), TELL_YOUR_IT, 502
    ),
    "switched_off": Reason(_("This way of signing in is switched off."), ASK_A_MANAGER),
    "no_address": Reason(_("Your organisation's identity provider named no e-mail address."), TELL_YOUR_IT),
    "address_unverified": Reason(
        _("Your organisation's identity provider says that your e-mail address is not verified."),
        TELL_YOUR_IT,
    ),
    "foreign_domain": Reason(
        _("The e-mail address is of a domain that this identity provider does not speak for."), ASK_A_MANAGER
    ),
    "foreign_account": Reason(CLAIMED, ASK_A_MANAGER),
    "staff": Reason(CLAIMED, ASK_A_MANAGER),
    "inactive": Reason(CLAIMED, ASK_A_MANAGER),
    "another_subject": Reason(CLAIMED, ASK_A_MANAGER),
    "anothers_address": Reason(CLAIMED, ASK_A_MANAGER),
    "elsewhere": Reason(
        CLAIMED, _("Ask a manager of your organisation in the portal to invite your address, then come back.")
    ),
    "not_invited": Reason(
        _("Nobody has added you to the portal yet."),
        _("Ask a manager of your organisation in the portal to invite your address, then come back."),
    ),
    "no_role": Reason(_("None of your groups has a role in the portal."), ASK_A_MANAGER),
}

# What a manager reads of a refusal, where the page of the person says less.
FOR_MANAGERS = {
    "client": _("The identity provider does not take the client ID and secret that are set here."),
    "foreign_account": _("The account's own address is not of your verified mail domains."),
    "staff": _("The address belongs to the support staff, who never come in this way."),
    "inactive": _("The account is switched off."),
    "another_subject": _("The account is bound to another person at the identity provider."),
    "anothers_address": _("The address belongs to another account than the one that is bound."),
    "elsewhere": _("The account has a place in another organisation. Invite its address first."),
}


def reason(code: str) -> Reason:
    return REASONS.get(code, REASONS["unreadable"])


def for_managers(code: str) -> Any:
    """One sentence for those who look after the provider."""
    return FOR_MANAGERS.get(code, reason(code).text)
