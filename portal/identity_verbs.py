"""What managers (and heads of support) do about how their people sign in. Each verb is one transaction.

The client's secret goes in here and never comes out again, in no page, audit or log.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import requests
from allauth.socialaccount.models import SocialAccount
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from portal import identity, identity_calls, identity_oidc
from portal.access import may_manage
from portal.audit import record
from portal.channels import guard
from portal.models import GroupRole, IdentityProvider, Organisation, OrganisationDomain, StaffRole, User
from portal.models.accounts import Role, Visibility
from portal.verbs import Refused, required

MOST = 20  # mail domains of one organisation, and identity providers
MOST_GROUPS = 200
WELL_KNOWN = "/.well-known/support-portal-domain.txt"
PLAIN = re.compile(r"[\x21-\x7e]+")
SAME_ISSUER = ("server_url", "client_id")  # a subject is somebody only for one issuer and one client


def refusal(organisation: Organisation, user: User) -> str:
    """ "" if `user` looks after how the organisation signs in, else the translated reason."""
    if user.has_staff_role(StaffRole.HEAD_OF_SUPPORT) or may_manage(user, organisation):
        return ""
    return _("The managers of your organisation look after its sign-in. Ask one of them.")


def _locked(organisation: Organisation, by: User) -> Organisation:
    locked = Organisation.objects.select_for_update().get(pk=organisation.pk)
    reason = refusal(locked, by)
    if reason:
        raise Refused(reason, kind="permission")
    return locked


def _note(
    kind: str, row: OrganisationDomain | IdentityProvider, by: User, now: datetime, request: Any, **facts: Any
) -> None:
    noun = "mail_domain" if isinstance(row, OrganisationDomain) else "identity_provider"
    record(
        kind,
        by=by,
        now=now,
        organisation=row.organisation,
        subject=f"{noun}/{row.pk}",
        facts=facts,
        request=request,
    )


# --- mail domains ---


@transaction.atomic
def add_domain(
    organisation: Organisation, *, domain: str, by: User, now: datetime, request: HttpRequest | None = None
) -> OrganisationDomain:
    """A mail domain that the organisation says is its own; it counts when it is verified."""
    locked = _locked(organisation, by)
    name = identity.ascii_domain(domain.rpartition("@")[2])
    if not guard.NAME.fullmatch(name) or guard.NUMERIC.fullmatch(name) or len(name) > 253:
        raise Refused(_("Write a mail domain such as example.com."), field="domain")
    if identity.is_nobodys(name):
        raise Refused(_("This mail domain cannot be an organisation's own."), field="domain")
    if locked.domains.filter(domain=name).exists():
        raise Refused(_("This mail domain is on the list already."), field="domain")
    if locked.domains.count() >= MOST:
        raise Refused(_("There are %(most)s mail domains already.") % {"most": MOST}, kind="state")
    made = OrganisationDomain.objects.create(
        organisation=locked, domain=name, created_at=now.replace(microsecond=0)
    )
    _note("domain_added", made, by, now, request)
    return made


def check_domain(
    row: OrganisationDomain, *, by: User, now: datetime, request: HttpRequest | None = None
) -> None:
    """Verify the domain by the file on its own web server. Refused with what was found instead."""
    reason = refusal(row.organisation, by)
    if reason:
        raise Refused(reason, kind="permission")
    found = _well_known(row.domain)
    if not hmac.compare_digest(found.strip().encode(), row.challenge.encode()):
        raise Refused(_("The file is there, and holds something else than what is shown here."), kind="state")
    _verify(row, by, now, request, by_file=True)


def _well_known(domain: str) -> str:
    """The text of the file. Refused with the reason; no transaction is open while the call lasts."""
    url = f"https://{domain}{WELL_KNOWN}"
    try:
        with identity_calls.session() as line:
            answer = line.get(url)
    except identity_calls.Unreachable as error:
        raise Refused(
            _("The file could not be read: %(reason)s.") % {"reason": str(error).rstrip(".")}, kind="state"
        ) from error
    if answer.status_code != 200:
        words = _("The file could not be read: the web server answers %(status)s.")
        raise Refused(words % {"status": answer.status_code}, kind="state")
    return answer.text[:200]


def vouch_for_domain(
    row: OrganisationDomain, *, by: User, now: datetime, request: HttpRequest | None = None
) -> None:
    """Verified by staff, who made sure of it in some other way."""
    if not by.has_staff_role(StaffRole.HEAD_OF_SUPPORT):
        raise Refused(_("Heads of support vouch for mail domains."), kind="permission")
    _verify(row, by, now, request, by_file=False)


def _verify(row: OrganisationDomain, by: User, now: datetime, request: Any, *, by_file: bool) -> None:
    if identity.is_nobodys(row.domain):
        raise Refused(_("This mail domain cannot be an organisation's own."), kind="state")
    try:
        with transaction.atomic():
            locked = OrganisationDomain.objects.select_for_update().get(pk=row.pk)
            if locked.verified_at is not None:
                raise Refused(_("It is verified already."), kind="state")
            locked.verified_at, locked.verified_by = now.replace(microsecond=0), by
            locked.save()
            _note("domain_verified", locked, by, now, request, shown_by="file" if by_file else "staff")
    except IntegrityError as error:
        raise Refused(_("This mail domain cannot be verified here. Please ask us."), kind="state") from error


@transaction.atomic
def remove_domain(
    row: OrganisationDomain, *, by: User, now: datetime, request: HttpRequest | None = None
) -> None:
    """The identity provider is not believed about its addresses any more, from this moment."""
    _locked(row.organisation, by)
    _note("domain_removed", row, by, now, request)
    row.delete()


# --- identity providers ---


def new_key() -> str:
    """Names a provider in addresses: 64 random bits, so that nobody guesses who has one."""
    return f"idp-{secrets.token_hex(8)}"


@transaction.atomic
def create_provider(
    organisation: Organisation,
    *,
    values: Mapping[str, Any],
    groups: Mapping[str, str],
    by: User,
    now: datetime,
    request: HttpRequest | None = None,
) -> IdentityProvider:
    """A provider, switched on. `values` holds its fields, `groups` the role of each group."""
    locked = _locked(organisation, by)
    if locked.identity_providers.count() >= MOST:
        raise Refused(_("There are %(most)s identity providers already.") % {"most": MOST}, kind="state")
    made = IdentityProvider(organisation=locked, key=new_key(), created_at=now.replace(microsecond=0))
    _write(made, values, groups)
    _note("identity_provider_added", made, by, now, request)
    return made


@transaction.atomic
def change_provider(
    provider: IdentityProvider,
    *,
    values: Mapping[str, Any],
    groups: Mapping[str, str],
    by: User,
    now: datetime,
    request: HttpRequest | None = None,
) -> IdentityProvider:
    """Change what is given; an empty secret keeps the one that is set."""
    _locked(provider.organisation, by)
    locked = IdentityProvider.objects.select_for_update().get(pk=provider.pk)
    before = issuer_of(locked)
    given = dict(values)
    if before != tuple(given[name].strip() for name in SAME_ISSUER):
        given["is_required"] = False
    _write(locked, given, groups)
    is_new = forget_bindings(locked, before)
    changed = sorted(name for name in values if name != "client_secret" or values[name])
    _note("identity_provider_changed", locked, by, now, request, fields=changed, is_new_issuer=is_new)
    return locked


def issuer_of(provider: IdentityProvider) -> tuple[str, ...]:
    """Whom its subjects are known to: the issuer and the client."""
    return tuple(getattr(provider, name) for name in SAME_ISSUER)


def forget_bindings(provider: IdentityProvider, before: tuple[str, ...]) -> bool:
    """If another issuer answers from now on, nobody is bound to it yet, and it is not the only way in.

    A subject of the old one may be somebody else at the new one. In the caller's transaction.
    """
    if before == issuer_of(provider):
        return False
    SocialAccount.objects.filter(provider=provider.key).delete()
    provider.last_used_at, provider.is_required = None, False
    provider.save(update_fields=["last_used_at", "is_required"])
    return True


def _write(row: IdentityProvider, values: Mapping[str, Any], groups: Mapping[str, str]) -> None:
    row.protocol = IdentityProvider.Protocol.OIDC
    row.name = required(values["name"], "name", _("Give it a name."))[:120]
    row.server_url = proper_issuer(values["server_url"])
    row.client_id = required(values["client_id"], "client_id", _("Write the client ID."))[:200]
    secret = (values.get("client_secret") or "").strip()
    if secret and not PLAIN.fullmatch(secret):
        raise Refused(_("It may hold plain letters, digits and signs only."), field="client_secret")
    row.client_secret = secret or row.client_secret
    row.groups_claim = (values.get("groups_claim") or "").strip()[:100]
    row.joins_people = bool(values["joins_people"])
    row.default_role, row.default_visibility = values["default_role"], values["default_visibility"]
    row.is_required = bool(values["is_required"])
    check(row, groups)
    row.save()
    _write_groups(row, groups)


def check(row: IdentityProvider, groups: Iterable[str]) -> None:
    """Refused with the field and the reason if the parts of a provider do not fit together."""
    if row.protocol != IdentityProvider.Protocol.OIDC:
        raise Refused(
            _("SAML is not installed here. Use OpenID Connect: nearly every identity provider offers both."),
            field="protocol",
        )
    if row.default_role not in ("", *Role.values):
        raise Refused(_("Choose a role."), field="default_role")
    if row.default_visibility not in (Visibility.ALL, Visibility.OWN):
        raise Refused(_("Choose all incidents or own incidents."), field="default_visibility")
    names = list(groups)
    if len(names) > MOST_GROUPS or any(len(name) > 200 for name in names):
        raise Refused(_("These are too many groups, or one has too long a name."), field="manager_groups")
    if not row.default_role and not names:
        raise Refused(_("Name a group, or choose a role: nobody could come in."), field="default_role")
    if names and not row.groups_claim:
        raise Refused(_("Name the claim in which the groups stand."), field="groups_claim")
    if row.is_required and row.last_used_at is None:
        words = _("Somebody must have signed in by it first, so that nobody is locked out.")
        raise Refused(words, field="is_required")


def proper_issuer(text: str) -> str:
    """The issuer as it was written: the guard reads it, and the provider must call itself exactly so."""
    issuer = required(text, "server_url", _("Write the issuer, such as https://login.example.com."))
    try:
        identity_calls.check(issuer)
    except guard.Refused as error:
        raise Refused(str(error), field="server_url") from error
    if "?" in issuer or "#" in issuer or "/.well-known/" in issuer or len(issuer) > 500:
        words = _("Write the issuer itself, without “/.well-known/” and what follows.")
        raise Refused(words, field="server_url")
    return issuer


def _write_groups(row: IdentityProvider, groups: Mapping[str, str]) -> None:
    """The rows as given; each change by itself, so that the history tells."""
    present = {each.group: each for each in row.group_roles.all()}
    for name, each in present.items():
        if name not in groups:
            each.delete()
        elif each.role != groups[name]:
            each.role = groups[name]
            each.save()
    for name, role in groups.items():
        if name not in present:
            GroupRole.objects.create(provider=row, group=name, role=role)


@transaction.atomic
def switch_provider(
    provider: IdentityProvider, *, on: bool, by: User, now: datetime, request: HttpRequest | None = None
) -> None:
    """On or off. Off, nobody comes in by it, sessions that came by it end, and passwords are good again."""
    _locked(provider.organisation, by)
    locked = IdentityProvider.objects.select_for_update().get(pk=provider.pk)
    if locked.is_active == on:
        words = _("It is switched on already.") if on else _("It is switched off already.")
        raise Refused(words, kind="state")
    locked.is_active = on
    locked.save()
    _note("identity_provider_on" if on else "identity_provider_off", locked, by, now, request)


def try_provider(
    provider: IdentityProvider, *, by: User, now: datetime, request: HttpRequest | None = None
) -> str:
    """Ask the issuer for its description and its keys; what works, in a sentence. Refused with what does not."""
    reason = refusal(provider.organisation, by)
    if reason:
        raise Refused(reason, kind="permission")
    try:
        found = identity_oidc.discovery(provider.server_url)
        keys = [key for key in identity_oidc.keys_of(found) if key.get("kty") in ("RSA", "EC", "OKP")]
    except identity_oidc.Untrusted as error:
        raise Refused(_("It does not work: %(reason)s.") % {"reason": error.detail}, kind="state") from error
    except requests.RequestException as error:
        detail = (
            str(error) if isinstance(error, identity_calls.Unreachable) else _("the answer cannot be read")
        )
        raise Refused(
            _("It does not work: %(reason)s.") % {"reason": detail.rstrip(".")}, kind="state"
        ) from error
    if not keys:
        raise Refused(_("It does not work: none of its keys can be used."), kind="state")
    return _("It answers, and %(count)s of its keys can be used. Now sign in by it, in another browser.") % {
        "count": len(keys)
    }
