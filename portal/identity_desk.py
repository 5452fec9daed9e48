"""How organisations sign in, on the staff desk: heads of support help where managers cannot. No secret is shown."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal import identity, identity_verbs
from portal.access import person_of
from portal.admin_base import HistoryAdmin, PasswordWidget, RoleTabularInline
from portal.audit import record
from portal.models import GroupRole, IdentityProvider, OrganisationDomain
from portal.verbs import Refused


class DomainForm(forms.ModelForm):
    class Meta:
        model = OrganisationDomain
        fields = ["organisation", "domain"]

    def clean_domain(self) -> str:
        name = identity.ascii_domain(self.cleaned_data["domain"])
        if not name or "." not in name or identity.is_nobodys(name):
            raise ValidationError(_("This mail domain cannot be an organisation's own."))
        return name


@admin.register(OrganisationDomain)
class OrganisationDomainAdmin(HistoryAdmin):
    """Mail domains. A head of support vouches for one after making sure of it outside, say by its DNS."""

    form = DomainForm
    list_display = ["domain", "organisation", "verified_at", "verified_by"]
    list_filter = [("verified_at", admin.EmptyFieldListFilter)]
    list_select_related = ["organisation", "verified_by"]
    search_fields = ["domain"]
    autocomplete_fields = ["organisation"]
    actions = ["vouch"]

    def has_vouch_permission(self, request: HttpRequest) -> bool:
        return self.has_change_permission(request)

    def get_readonly_fields(self, request: HttpRequest, obj: OrganisationDomain | None = None) -> list[str]:
        """What was verified for one organisation is not another's: remove it, and add it anew."""
        shown = ["created_at", "verified_at", "verified_by"]
        return ["organisation", "domain", *shown] if obj else []

    def get_fields(self, request: HttpRequest, obj: OrganisationDomain | None = None) -> list[str]:
        return [*DomainForm.Meta.fields, *self.get_readonly_fields(request, obj)[2:]]

    def save_model(self, request: HttpRequest, obj: OrganisationDomain, form: Any, change: bool) -> None:
        obj.created_at = obj.created_at or timezone.now().replace(microsecond=0)
        super().save_model(request, obj, form, change)
        if not change:
            _note(request, "domain_added", obj)

    def delete_model(self, request: HttpRequest, obj: OrganisationDomain) -> None:
        _note(request, "domain_removed", obj)
        super().delete_model(request, obj)

    @admin.action(description=gettext_lazy("Vouch for the mail domain"), permissions=["vouch"])
    def vouch(self, request: HttpRequest, queryset: Any) -> None:
        """Only after a check outside the portal: the identity provider is believed about its addresses."""
        for row in queryset.select_related("organisation"):
            try:
                identity_verbs.vouch_for_domain(
                    row, by=person_of(request), now=timezone.now(), request=request
                )
            except Refused as refused:
                messages.error(request, f"{row}: {refused.reason}")
            else:
                messages.success(request, _("“%(domain)s” is verified.") % {"domain": row})


def _note(request: HttpRequest, kind: str, row: OrganisationDomain | IdentityProvider, **facts: Any) -> None:
    noun = "mail_domain" if isinstance(row, OrganisationDomain) else "identity_provider"
    record(
        kind,
        by=person_of(request),
        now=timezone.now(),
        organisation=row.organisation,
        subject=f"{noun}/{row.pk}",
        facts=facts,
        request=request,
    )


class GroupRoleInline(RoleTabularInline):
    model = GroupRole


class ProviderForm(forms.ModelForm):
    """An empty secret keeps the one that is set."""

    class Meta:
        model = IdentityProvider
        fields = [
            *["organisation", "name", "server_url", "client_id", "client_secret", "groups_claim"],
            *["default_role", "default_visibility", "joins_people", "is_required", "is_active"],
        ]
        widgets = {"client_secret": PasswordWidget}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept = self.instance.client_secret if self.instance.pk else ""
        self.before = identity_verbs.issuer_of(self.instance)
        if "client_secret" in self.fields:
            self.initial["client_secret"] = ""
            if self.kept:
                self.fields["client_secret"].help_text = _("Set, and not shown. Leave it empty to keep it.")

    def clean_server_url(self) -> str:
        try:
            return identity_verbs.proper_issuer(self.cleaned_data["server_url"])
        except Refused as refused:
            raise ValidationError(refused.reason) from refused

    def clean_client_secret(self) -> str:
        return self.cleaned_data["client_secret"].strip() or self.kept

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        groups = [each.group for each in self.instance.group_roles.all()] if self.instance.pk else []
        try:
            identity_verbs.check(self.instance, groups)
        except Refused as refused:
            self.add_error(refused.field if refused.field in self.fields else None, refused.reason)


@admin.register(IdentityProvider)
class IdentityProviderAdmin(HistoryAdmin):
    """Identity providers. Switched off here when an organisation has locked itself out."""

    form = ProviderForm
    list_display = ["name", "organisation", "server_url", "is_active", "is_required", "last_used_at"]
    list_filter = ["is_active", "is_required"]
    list_select_related = ["organisation"]
    search_fields = ["name", "key"]
    autocomplete_fields = ["organisation"]
    inlines = [GroupRoleInline]
    FACTS = ["key", "last_used_at", "created_at"]

    def get_fields(self, request: HttpRequest, obj: IdentityProvider | None = None) -> list[str]:
        fields: list[str] = list(ProviderForm.Meta.fields)
        if not self.has_change_permission(request, obj):
            fields.remove("client_secret")
        return [*fields, *self.FACTS] if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: IdentityProvider | None = None) -> list[str]:
        return [*self.FACTS, "organisation"] if obj else self.FACTS

    def save_model(self, request: HttpRequest, obj: IdentityProvider, form: Any, change: bool) -> None:
        if not change:
            obj.key, obj.created_at = identity_verbs.new_key(), timezone.now().replace(microsecond=0)
        super().save_model(request, obj, form, change)
        is_new = identity_verbs.forget_bindings(obj, form.before) if change else False
        fields = [name for name in form.changed_data if name != "client_secret" or form.data.get(name)]
        _note(
            request,
            "identity_provider_changed" if change else "identity_provider_added",
            obj,
            fields=fields,
            is_new_issuer=is_new,
        )
