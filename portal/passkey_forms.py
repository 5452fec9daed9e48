"""allauth's passkey forms, for answers that no browser gives: nonsense is a wrong code, never a traceback."""

from __future__ import annotations

from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.webauthn import forms

NONSENSE = (KeyError, AttributeError, TypeError, ValueError, OverflowError)


class Readable:
    def clean_credential(self) -> Any:
        try:
            return super().clean_credential()  # type: ignore[misc]
        except NONSENSE as error:
            raise get_adapter().validation_error("incorrect_code") from error


class LoginForm(Readable, forms.LoginWebAuthnForm):
    pass


class AuthenticateForm(Readable, forms.AuthenticateWebAuthnForm):
    pass


class ReauthenticateForm(Readable, forms.ReauthenticateWebAuthnForm):
    pass


class AddForm(forms.AddWebAuthnForm):
    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except NONSENSE as error:
            raise get_adapter().validation_error("incorrect_code") from error
