"""Which identity provider an address belongs to. Only verified mail domains count, and only exactly.

A mail domain that the portal itself receives on, or that a public mail service gives to everybody, is
nobody's: it is never verified, and where it is, it is not believed.
"""

from __future__ import annotations

from django.conf import settings
from django.db.models import QuerySet

from portal.models import IdentityProvider, Organisation, OrganisationDomain, User

PUBLIC_SERVICES = frozenset(
    [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "msn.com",
        "yahoo.com",
        "ymail.com",
        "icloud.com",
        "me.com",
        "mac.com",
        "aol.com",
        "gmx.de",
        "gmx.net",
        "gmx.com",
        "web.de",
        "t-online.de",
        "mail.ru",
        "yandex.ru",
        "yandex.com",
        "proton.me",
        "protonmail.com",
        "mail.com",
        "zoho.com",
        "qq.com",
        "163.com",
    ]
)


def ascii_domain(text: str) -> str:
    """A domain in its one form: lower case, punycode, without a dot at the end; "" for what is none."""
    try:
        return text.strip().rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        return ""


def domain_of(address: str) -> str:
    """The mail domain of an address in its one form; "" for what is no address."""
    local, sign, domain = address.strip().rpartition("@")
    return ascii_domain(domain) if local and sign else ""


def is_nobodys(domain: str) -> bool:
    """Whether no organisation can own this domain: our own (and what lies below), and public mail services."""
    ours = {ascii_domain(settings.MAIL_DOMAIN), domain_of(settings.SUPPORT_EMAIL)} - {""}
    return domain in PUBLIC_SERVICES or any(domain == one or domain.endswith(f".{one}") for one in ours)


def domains_of(organisation: Organisation) -> set[str]:
    """The verified mail domains of an organisation that may be believed."""
    rows = OrganisationDomain.objects.filter(organisation=organisation, verified_at__isnull=False)
    return {domain for domain in rows.values_list("domain", flat=True) if not is_nobodys(domain)}


def owner_of(domain: str) -> Organisation | None:
    """The organisation that a mail domain was verified for, if it is there and active."""
    if not domain or is_nobodys(domain):
        return None
    found = OrganisationDomain.objects.filter(
        domain=domain, verified_at__isnull=False, organisation__is_active=True, organisation__is_vendor=False
    )
    row = found.select_related("organisation").first()
    return row.organisation if row else None


def active_providers() -> QuerySet[IdentityProvider]:
    """Those that somebody can sign in by now."""
    return IdentityProvider.objects.filter(
        is_active=True, organisation__is_active=True, organisation__is_vendor=False
    ).select_related("organisation")


def provider_for(address: str) -> IdentityProvider | None:
    """Where this address signs in; of several providers the one that is the only way in, then the oldest."""
    organisation = owner_of(domain_of(address))
    if organisation is None:
        return None
    return active_providers().filter(organisation=organisation).order_by("-is_required", "pk").first()


def required_provider_of(user: User) -> IdentityProvider | None:
    """The provider that is the only way in for this person; None if a password will do. Staff have none."""
    if user.is_staff or user.is_superuser or user.staff_role:
        return None
    found = provider_for(user.email)
    return found if found and found.is_required else None
