"""The page on which a person makes, sees and revokes their API tokens."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from portal import tokens
from portal.access import person_of
from portal.api_auth import is_alive
from portal.endpoint_forms import attempt
from portal.models import ApiToken, Organisation, Service, User

SHOWN_ONCE = "api_token"  # in the session, and so never in a cookie
DAYS = 90


class TokenForm(forms.Form):
    """A new token: what for, what it may do, for what, and for how long."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("So that you know it again: such as “Ticket system”."),
    )
    scope = forms.ChoiceField(
        label=gettext_lazy("What it may do"), choices=ApiToken.Scope.choices, widget=forms.RadioSelect
    )
    organisation = forms.ModelChoiceField(
        Organisation.objects.none(),
        label=gettext_lazy("Only for organisation"),
        required=False,
        help_text=gettext_lazy("Its managers then see and may revoke the token. Alarms need one."),
    )
    service = forms.ModelChoiceField(
        Service.objects.none(),
        label=gettext_lazy("Only for service"),
        required=False,
        help_text=gettext_lazy("It then shows incidents and maintenance of this service, and nothing else."),
    )
    days = forms.IntegerField(
        label=gettext_lazy("Days until it expires"), min_value=1, max_value=tokens.MOST_DAYS, initial=DAYS
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices: dict[str, Any] = {
            "organisation": Organisation.objects.visible_to(user).order_by("name"),
            "service": Service.objects.visible_to(user),
        }
        for name, rows in choices.items():
            self.fields[name].queryset = rows  # type: ignore[attr-defined]


@login_required
@never_cache
@require_safe
def token_list(request: HttpRequest) -> HttpResponse:
    """The person's tokens, the new one with its secret this once, and those that they manage."""
    user = person_of(request)
    secret = request.session.pop(SHOWN_ONCE, "") if request.method == "GET" else ""
    context = {
        "mine": [(each, tokens.id_of(each), is_alive(each)) for each in tokens.own(user)],
        "managed": [(each, tokens.id_of(each), is_alive(each)) for each in tokens.managed(user)],
        "secret": secret,
    }
    return render(request, "portal/tokens/list.html", context)


@login_required
@reauthentication_required
@never_cache
@sensitive_variables("secret")
@require_http_methods(["GET", "HEAD", "POST"])
def new_token(request: HttpRequest) -> HttpResponse:
    """Make a token; the list shows its secret once."""
    user = person_of(request)
    if getattr(request, "impersonator", None):
        raise PermissionDenied(_("Nobody makes a token in another person's name."))
    form = TokenForm(request.POST or None, user=user, initial={"scope": ApiToken.Scope.READ})
    status = 400 if form.is_bound else 200

    def verb() -> None:
        _token, secret = tokens.create(
            user, by=user, now=timezone.now(), request=request, **form.cleaned_data
        )
        request.session[SHOWN_ONCE] = secret

    if form.is_valid():
        status = attempt(form, verb)
    if not status:
        messages.success(request, _("The token is made. It is shown this once."))
        return redirect("tokens")
    return render(request, "portal/tokens/new.html", {"form": form}, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def token_revocation(request: HttpRequest, token: str) -> HttpResponse:
    """Revoke one, without asking for the password again: who lost a token is in a hurry."""
    user = person_of(request)
    found = get_object_or_404(tokens.revocable_by(user), digest__startswith=token)
    if request.method != "POST":
        return redirect("tokens")
    tokens.revoke(found, by=user, now=timezone.now(), request=request)
    messages.success(request, _("“%(name)s” is revoked. It opens nothing any more.") % {"name": found.name})
    return redirect("tokens")
