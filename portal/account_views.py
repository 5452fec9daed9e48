"""Pages of signing in that are ours: what allauth's would allow too much, or not say."""

from __future__ import annotations

from typing import Any

from allauth.account.views import PasswordSetView
from allauth.mfa.adapter import get_adapter
from allauth.mfa.webauthn.views import RemoveWebAuthnView
from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.views.decorators.http import require_safe

from portal.second_factor import reauthenticated


@login_required
@require_safe
def address(request: HttpRequest) -> HttpResponse:
    """The address that one signs in by. It is what invitations and mail domains are bound to: staff change it."""
    return render(request, "account/email.html")


@login_required
def passkeys(request: HttpRequest) -> HttpResponse:
    """Passkeys stand with the other factors."""
    return redirect("mfa_index")


class RemovalForm(forms.Form):
    """Refuses to take away the only factor of somebody who must have one."""

    def __init__(self, *args: Any, factor: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.factor = factor

    def clean(self) -> dict[str, Any]:
        if not get_adapter().can_delete_authenticator(self.factor):
            raise get_adapter().validation_error("cannot_delete_authenticator")
        return super().clean() or {}


class RemovePasskey(RemoveWebAuthnView):
    success_url = reverse_lazy("mfa_index")
    form_class = RemovalForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"factor": self.get_object()}


remove_passkey = login_required(RemovePasskey.as_view())
set_password = login_required(reauthenticated(PasswordSetView.as_view()))
