"""Every kind of the audit: its group, its sentence, and the facts that it holds.

An organisation reads the kinds that are public, and of their facts those that are declared here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

GROUPS: dict[str, Any] = {
    "sign-in": _("Sign-in"),
    "people": _("People and teams"),
    "rights": _("Rights of staff"),
    "tokens": _("API tokens"),
    "channels": _("Channels and webhooks"),
    "identity": _("Identity providers and domains"),
    "reads": _("Files, exports and reports"),
    "impersonation": _("Looking at the portal as somebody else"),
    "settings": _("Settings"),
    "privacy": _("Privacy and retention"),
}


@dataclass(frozen=True)
class Kind:
    """What one kind means. `facts` are the names that may stand in an entry's facts, and be exported."""

    group: str
    sentence: Any
    facts: tuple[str, ...] = ()
    is_public: bool = True  # whether the organisation's managers read it


def _internal(group: str, sentence: Any, *facts: str) -> Kind:
    return Kind(group, sentence, facts, is_public=False)


def _public(group: str, sentence: Any, *facts: str) -> Kind:
    return Kind(group, sentence, facts)


_MEMBER = (
    "person",
    "role",
    "before",
    "role_from",
    "role_to",
    "visibility",
    "visibility_from",
    "visibility_to",
    "team",
)
_CHANGE = ("model", "history", "change", "fields", "role", "visibility")

KINDS: dict[str, Kind] = {
    # sign-in
    "signed_in": _public("sign-in", _("signed in"), "methods", "provider"),
    "signed_out": _public("sign-in", _("signed out")),
    "sessions_ended": _internal("sign-in", _("ended sessions on the machine itself")),
    "sign_in_failed": _public("sign-in", _("a sign-in failed"), "method"),
    "sign_in_refused": _public("sign-in", _("a sign-in was refused"), "reason", "provider", "detail", "code"),
    "password_changed": _public("sign-in", _("changed the password")),
    "password_reset_asked": _public("sign-in", _("asked for a new password")),
    "password_reset_done": _public("sign-in", _("set a new password by the link in the mail")),
    "factor_added": _public("sign-in", _("added a second factor"), "type"),
    "factor_removed": _public("sign-in", _("removed a second factor"), "type"),
    "factor_reset_by_staff": _public("sign-in", _("staff removed a second factor"), "person", "type"),
    "recovery_codes_made": _public("sign-in", _("made recovery codes")),
    "recovery_code_used": _public("sign-in", _("used a recovery code")),
    "reauthenticated": _public("sign-in", _("gave the password or second factor again"), "method"),
    "session_ended": _public("sign-in", _("ended a session"), "sessions", "count", "person"),
    "address_changed": _public("sign-in", _("changed the e-mail address")),
    # tokens
    "token_created": _public("tokens", _("made an API token"), "scope", "person", "service", "days"),
    "token_changed": _public("tokens", _("changed an API token"), "fields"),
    "token_revoked": _public("tokens", _("revoked an API token"), "scope", "person"),
    "token_used_first": _public("tokens", _("used an API token for the first time"), "scope"),
    "api_key_reused": _internal("tokens", _("sent an idempotency key again with another request")),
    # people
    "invitation_sent": _public("people", _("invited somebody"), "role", "visibility", "team"),
    "invitation_renewed": _public("people", _("sent an invitation again")),
    "invitation_withdrawn": _public("people", _("withdrew an invitation")),
    "invitation_accepted": _public("people", _("accepted an invitation"), "role", "visibility", "team"),
    "membership_added": _public("people", _("added somebody to the organisation"), *_MEMBER),
    "membership_changed": _public("people", _("changed what somebody may do or see"), *_MEMBER, "fields"),
    "membership_removed": _public("people", _("removed somebody from the organisation"), *_MEMBER),
    "team_made": _public("people", _("made a team"), "team"),
    "team_changed": _public("people", _("changed a team"), "team"),
    "team_removed": _public("people", _("removed a team"), "team"),
    "incidents_transferred": _public("people", _("handed incidents over"), "person", "to", "count"),
    "organisation_switched": _internal("people", _("switched the organisation")),
    "person_changed": _public("people", _("staff changed a person"), "person", "fields"),
    # identity
    "domain_added": _public("identity", _("added a mail domain")),
    "domain_verified": _public("identity", _("verified a mail domain"), "shown_by"),
    "domain_removed": _public("identity", _("removed a mail domain")),
    "identity_provider_added": _public("identity", _("added an identity provider"), "protocol"),
    "identity_provider_changed": _public("identity", _("changed an identity provider"), "fields"),
    "identity_provider_removed": _public("identity", _("removed an identity provider")),
    "identity_provider_on": _public("identity", _("switched an identity provider on")),
    "identity_provider_off": _public("identity", _("switched an identity provider off")),
    "identity_bound": _public("identity", _("was bound to an identity provider")),
    "signed_in_by_provider": _public("identity", _("signed in by an identity provider"), "amr"),
    "person_joined": _public("identity", _("was added at the first sign-in by an identity provider")),
    "last_manager_kept": _public("identity", _("stayed manager: there is no other"), "role"),
    "role_by_group": _public("identity", _("got a role by a group of the identity provider"), *_MEMBER),
    "second_factor_required": _public("identity", _("changed whether a second factor is required"), "is_on"),
    # rights
    "staff_limited": _internal("rights", _("changed which organisations staff look after"), "person"),
    "staff_changed": _internal(
        "rights", _("changed a person of the staff"), "fields", "role_from", "role_to"
    ),
    # impersonation
    "impersonation_started": _public("impersonation", _("began to look at the portal as somebody"), "person"),
    "impersonation_ended": _public("impersonation", _("ended looking at the portal as somebody"), "person"),
    "seen_as": _public("impersonation", _("looked at a page of the portal as somebody"), "person", "path"),
    # reads
    "attachment_read": _public("reads", _("downloaded a file"), "attachment"),
    "original_read": _public("reads", _("read a whole mail"), "mail"),
    "rca_exported": _public("reads", _("downloaded an RCA"), "rca", "version"),
    "report_exported": _public("reads", _("downloaded a report"), "month", "format"),
    "reports_exported": _internal(
        "reads", _("downloaded the reports of all organisations"), "month", "format"
    ),
    "data_exported": _public("reads", _("exported a person's data"), "person", "format"),
    "audit_exported": _public("reads", _("exported the audit"), "format", "filters"),
    # channels
    "endpoint_added": _public("channels", _("set up a channel or webhooks"), "use", "service"),
    "endpoint_changed": _public("channels", _("changed a channel or webhooks"), "fields"),
    "endpoint_rotated": _public("channels", _("made a new secret for a channel or webhooks")),
    "endpoint_removed": _public("channels", _("removed a channel or webhooks")),
    # settings
    "settings_changed": _internal("settings", _("changed a setting"), *_CHANGE),
    "organisation_settings_changed": _public(
        "settings", _("staff changed a setting of the organisation"), *_CHANGE
    ),
    "history_restored": _internal("settings", _("put an earlier state back"), "model", "history"),
    # privacy
    "person_erased": _public("privacy", _("erased a person"), "person"),
    "retention_ran": _internal("privacy", _("deleted what was past its time"), "kind", "count"),
    "retention_changed": _internal("privacy", _("changed how long things are kept"), "kind", "days"),
    "infected_file_removed": _internal("privacy", _("deleted an infected file")),
    "scan_found": _public("privacy", _("a virus scan found something"), "attachment"),
    "purge_opened": _internal("privacy", _("opened the purge door"), "rows"),
}


def kind_of(name: str) -> Kind:
    """The declared kind. ValueError for one that is not: it would have no sentence and no audience."""
    if name not in KINDS:
        raise ValueError(f"The audit knows no kind “{name}”. Declare it in portal/audit_words.py.")
    return KINDS[name]


def public_kinds() -> list[str]:
    return [name for name, kind in KINDS.items() if kind.is_public]


def kinds_of_group(group: str) -> list[str]:
    return [name for name, kind in KINDS.items() if kind.group == group]


def public_facts(name: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Those facts that an organisation may read: the declared ones."""
    known = KINDS[name].facts if name in KINDS else ()
    return {key: value for key, value in facts.items() if key in known}
