"""How an organisation's people sign in by their own identity provider."""

from __future__ import annotations

import secrets

from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from portal.models.accounts import Organisation, Role, TypedModelMeta, User, Visibility
from portal.models.fields import SecretField


def new_challenge() -> str:
    """What an organisation writes into its DNS to show that a domain is its own: 128 random bits."""
    return secrets.token_hex(16)


class OrganisationDomain(models.Model):
    """A mail domain of an organisation. Only a verified one binds an identity provider to addresses."""

    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="domains", verbose_name=_("organisation")
    )
    domain = models.CharField(_("domain"), max_length=253)
    challenge = models.CharField(max_length=32, default=new_challenge, editable=False)
    verified_at = models.DateTimeField(_("verified at"), null=True, blank=True)
    verified_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("verified by")
    )
    created_at = models.DateTimeField(_("added at"))

    history = HistoricalRecords(excluded_fields=["challenge"])

    class Meta(TypedModelMeta):
        ordering = ["domain"]
        verbose_name = _("mail domain")
        verbose_name_plural = _("mail domains")
        constraints = [
            models.UniqueConstraint(fields=["organisation", "domain"], name="one_domain_each"),
            models.UniqueConstraint(
                fields=["domain"],
                name="one_owner_of_a_domain",
                condition=models.Q(verified_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.domain


class IdentityProvider(models.Model):
    """An organisation's own identity provider: OpenID Connect, or SAML where that extra is installed."""

    class Protocol(models.TextChoices):
        OIDC = "oidc", "OpenID Connect"
        SAML = "saml", "SAML 2.0"

    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="identity_providers", verbose_name=_("organisation")
    )
    key = models.SlugField(
        _("key"), max_length=80, unique=True, help_text=_("Part of the address that it answers to.")
    )
    name = models.CharField(_("name"), max_length=120)
    protocol = models.CharField(_("protocol"), max_length=10, choices=Protocol.choices, default=Protocol.OIDC)
    server_url = models.CharField(
        _("issuer"),
        max_length=500,
        help_text=_("The issuer of OpenID Connect, or the address of SAML's metadata."),
    )
    client_id = models.CharField(_("client ID"), max_length=200)
    client_secret = SecretField(_("client secret"), blank=True)
    groups_claim = models.CharField(
        _("claim that names groups"), max_length=100, blank=True, default="groups"
    )
    is_active = models.BooleanField(_("active"), default=True)
    is_required = models.BooleanField(
        _("the only way in"),
        default=False,
        help_text=_("People of the organisation's verified domains then sign in by it, without a password."),
    )
    joins_people = models.BooleanField(
        _("adds people at their first sign-in"),
        default=True,
        help_text=_("Otherwise only who was added or invited before may come in by it."),
    )
    default_role = models.CharField(
        _("role without a group"), max_length=10, choices=Role.choices, default=Role.VIEWER, blank=True
    )
    default_visibility = models.CharField(
        _("sees"), max_length=10, choices=Visibility.choices, default=Visibility.ALL
    )
    created_at = models.DateTimeField(_("created at"))
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True, editable=False)

    history = HistoricalRecords(excluded_fields=["client_secret", "last_used_at"])

    class Meta(TypedModelMeta):
        ordering = ["name"]
        verbose_name = _("identity provider")
        verbose_name_plural = _("identity providers")

    def __str__(self) -> str:
        return self.name


class GroupRole(models.Model):
    """A group at the identity provider, and the role that it means here."""

    provider = models.ForeignKey(
        IdentityProvider, models.CASCADE, related_name="group_roles", verbose_name=_("identity provider")
    )
    group = models.CharField(_("group"), max_length=200)
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["group"]
        verbose_name = _("role of a group")
        verbose_name_plural = _("roles of groups")
        constraints = [models.UniqueConstraint(fields=["provider", "group"], name="one_role_per_group")]

    def __str__(self) -> str:
        return f"{self.group} → {self.get_role_display()}"
