"""The pages on which an organisation's managers look after its mail domains and identity providers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account.internal.flows.reauthentication import is_reauthentication_required
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from portal import identity_verbs, identity_words
from portal.access import person_of
from portal.identity_forms import DomainForm, ProviderForm, values_of
from portal.models import AuditEntry, IdentityProvider, Organisation, OrganisationDomain, StaffRole, User
from portal.verbs import Refused

GET_POST = ["GET", "HEAD", "POST"]
LAST_REFUSALS = 10


def managed_by(user: User) -> QuerySet[Organisation]:
    """The organisations whose sign-in the person looks after."""
    if user.has_staff_role(StaffRole.HEAD_OF_SUPPORT):
        return Organisation.objects.visible_to(user).filter(is_active=True, is_vendor=False).order_by("name")
    return Organisation.objects.managed_by(user).filter(is_vendor=False).order_by("name")


def allow(user: User, organisation: Organisation) -> None:
    """403 for whoever does not manage the organisation."""
    reason = identity_verbs.refusal(organisation, user)
    if reason:
        raise PermissionDenied(reason)


def asked_again(request: HttpRequest) -> HttpResponse | None:
    """The way to the page that asks for the password again, if it was not asked for of late.

    Nothing of the form is kept meanwhile: what stands in it may be a secret.
    """
    if not is_reauthentication_required(request, app="portal"):
        return None
    query = urlencode({REDIRECT_FIELD_NAME: request.path})
    return redirect(f"{reverse('account_reauthenticate')}?{query}")


def attempt(form: forms.Form, verb: Callable[[], Any]) -> int:
    """Do it. 0, or the HTTP status of the refusal, which the form then shows."""
    try:
        verb()
    except Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        return refused.status
    return 0


def about(request: HttpRequest) -> dict[str, Any]:
    """Who does it, when and from where, as the verbs take them."""
    return {"by": person_of(request), "now": timezone.now(), "request": request}


@login_required
@require_safe
def identity_page(request: HttpRequest) -> HttpResponse:
    organisations = managed_by(person_of(request))
    domains = OrganisationDomain.objects.filter(organisation__in=organisations)
    providers = IdentityProvider.objects.filter(organisation__in=organisations)
    context = {
        "manages": organisations.exists(),
        "is_of_several": organisations.count() > 1,
        "domains": domains.select_related("organisation").order_by("organisation__name", "domain"),
        "providers": providers.select_related("organisation").order_by("organisation__name", "name", "pk"),
    }
    return render(request, "portal/identity/list.html", context)


# --- mail domains ---


@login_required
@require_http_methods(GET_POST)
def new_domain(request: HttpRequest) -> HttpResponse:
    organisations = _must_manage(request)
    form = DomainForm(request.POST or None, organisations=organisations)
    again = asked_again(request)
    if again:
        return again
    made: list[OrganisationDomain] = []
    status = 400 if form.is_bound else 200
    if form.is_valid():
        given = {"domain": form.cleaned_data["domain"]} | about(request)
        status = attempt(form, lambda: made.append(identity_verbs.add_domain(form.chosen(), **given)))
    if made:
        return redirect("identity-domain", made[0].pk)
    return render(request, "portal/identity/domain_new.html", {"form": form}, status=status)


def _must_manage(request: HttpRequest) -> QuerySet[Organisation]:
    organisations = managed_by(person_of(request))
    if not organisations.exists():
        raise PermissionDenied(
            _("The managers of your organisation look after its sign-in. Ask one of them.")
        )
    return organisations


@login_required
@never_cache
@require_http_methods(GET_POST)
def domain(request: HttpRequest, pk: int) -> HttpResponse:
    """GET says how to verify the domain; POST checks it now, or removes it."""
    rows = OrganisationDomain.objects.filter(
        organisation__in=Organisation.objects.visible_to(person_of(request))
    )
    found = get_object_or_404(rows.select_related("organisation", "verified_by"), pk=pk)
    allow(person_of(request), found.organisation)
    form = forms.Form(request.POST if request.method == "POST" else None)
    status = 200
    if form.is_valid():
        again = asked_again(request)
        if again:
            return again
        status, done = _do_with_domain(request, found, form)
        if done:
            messages.success(request, done)
            return redirect("identity")
    context = {"form": form, "domain": found, "well_known": identity_verbs.WELL_KNOWN}
    return render(request, "portal/identity/domain.html", context, status=status)


def _do_with_domain(request: HttpRequest, found: OrganisationDomain, form: forms.Form) -> tuple[int, str]:
    """The status of the refusal, or what was done in words."""
    verbs: dict[str, tuple[Callable[..., Any], str]] = {
        "check": (identity_verbs.check_domain, _("The mail domain is verified.")),
        "remove": (identity_verbs.remove_domain, _("The mail domain is removed.")),
    }
    verb, words = verbs.get(request.POST.get("do", ""), (None, ""))
    if verb is None:
        form.add_error(None, _("There is no such button."))
        return 400, ""
    status = attempt(form, lambda: verb(found, **about(request)))
    return status, "" if status else words


# --- identity providers ---


def find(request: HttpRequest, key: str) -> IdentityProvider:
    """404 for a stranger, 403 for whoever does not manage the organisation."""
    user = person_of(request)
    rows = IdentityProvider.objects.filter(organisation__in=Organisation.objects.visible_to(user))
    found = get_object_or_404(rows.select_related("organisation"), key=key)
    allow(user, found.organisation)
    return found


@login_required
@never_cache
@sensitive_post_parameters("client_secret")
@require_http_methods(GET_POST)
def new_provider(request: HttpRequest) -> HttpResponse:
    organisations = _must_manage(request)
    form = ProviderForm(request.POST or None, organisations=organisations)
    again = asked_again(request)
    if again:
        return again
    made: list[IdentityProvider] = []
    status = 400 if form.is_bound else 200
    if form.is_valid():
        given = {"values": form.values(), "groups": form.groups()} | about(request)
        status = attempt(form, lambda: made.append(identity_verbs.create_provider(form.chosen(), **given)))
    if made:
        messages.success(
            request, _("It is set up. Enter the redirect address below at your provider, then test it.")
        )
        return redirect("identity-provider", made[0].key)
    return render(request, "portal/identity/provider_form.html", {"form": form}, status=status)


@login_required
@never_cache
@require_http_methods(GET_POST)
def provider(request: HttpRequest, key: str) -> HttpResponse:
    """GET shows the provider and its last refusals; POST tests it, or switches it on or off."""
    found = find(request, key)
    form = forms.Form(request.POST if request.method == "POST" else None)
    status = 200
    if form.is_valid():
        again = asked_again(request)
        if again:
            return again
        status, done = _do_with_provider(request, found, form)
        if done:
            messages.success(request, done)
            return redirect("identity-provider", found.key)
    context = {
        "form": form,
        "provider": found,
        "redirect_uri": settings.SITE_URL + reverse("openid_connect_callback", args=[found.key]),
        "start_uri": settings.SITE_URL + reverse("openid_connect_login", args=[found.key]),
        "groups": found.group_roles.order_by("group"),
        "refusals": last_refusals(found),
        "has_domain": found.organisation.domains.filter(verified_at__isnull=False).exists(),
    }
    return render(request, "portal/identity/provider.html", context, status=status)


def last_refusals(found: IdentityProvider) -> list[dict[str, Any]]:
    """When somebody was refused and why, newest first: ids and reasons, as the audit has them."""
    rows = AuditEntry.objects.filter(kind="sign_in_refused", subject=f"identity_provider/{found.pk}")
    return [
        {
            "at": row.at,
            "text": identity_words.for_managers(row.facts.get("reason", "")),
            "detail": row.facts.get("detail", ""),
        }
        for row in rows.order_by("-pk")[:LAST_REFUSALS]
    ]


def _do_with_provider(request: HttpRequest, found: IdentityProvider, form: forms.Form) -> tuple[int, str]:
    """The status of the refusal, or what was done in words."""
    do, given, said = request.POST.get("do", ""), about(request), [""]
    if do == "test":
        status = attempt(form, lambda: said.append(identity_verbs.try_provider(found, **given)))
    elif do == "on":
        status = attempt(form, lambda: identity_verbs.switch_provider(found, on=True, **given))
        said.append(_("It is switched on."))
    elif do == "off":
        status = attempt(form, lambda: identity_verbs.switch_provider(found, on=False, **given))
        said.append(_("It is switched off. Who came by it is signed out."))
    else:
        form.add_error(None, _("There is no such button."))
        return 400, ""
    return status, "" if status else said[-1]


@login_required
@never_cache
@sensitive_post_parameters("client_secret")
@require_http_methods(GET_POST)
def provider_change(request: HttpRequest, key: str) -> HttpResponse:
    found = find(request, key)
    initial = values_of(found)
    form = ProviderForm(request.POST or None, organisations=None, provider=found, initial=initial)
    again = asked_again(request)
    if again:
        return again
    status = 400 if form.is_bound else 200
    if form.is_valid():
        given = {"values": form.values(), "groups": form.groups()} | about(request)
        status = attempt(form, lambda: identity_verbs.change_provider(found, **given))
    if not status:
        messages.success(request, _("Saved. It holds for sign-ins from now on."))
        return redirect("identity-provider", found.key)
    return render(
        request, "portal/identity/provider_form.html", {"form": form, "provider": found}, status=status
    )
