"""Columns of our own: what a backup or a query of the database must not give away."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django import forms
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.validators import MaxLengthValidator
from django.db import models


def _keys() -> MultiFernet:
    """One key from each secret of the process, the present one first."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [hashlib.sha256(b"portal.secrets:" + secret.encode()).digest() for secret in secrets]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


def sealed(text: str) -> str:
    """`text` encrypted under SECRET_KEY (Fernet: AES-128-CBC with HMAC-SHA256); "" stays ""."""
    return _keys().encrypt(text.encode()).decode() if text else ""


def unsealed(text: str) -> str:
    """What `sealed` encrypted. ImproperlyConfigured if neither SECRET_KEY nor its fallbacks can read it."""
    if not text:
        return ""
    try:
        return _keys().decrypt(text.encode()).decode()
    except InvalidToken as error:
        raise ImproperlyConfigured(
            "A secret in the database cannot be read: SECRET_KEY is not the one it was stored under. "
            "Put the former key into SECRET_KEY_FALLBACKS."
        ) from error


class SecretField(models.TextField):
    """A text that stands encrypted in the database. It cannot be searched for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.max_length is not None:  # of what is said, not of what is stored
            self.validators.append(MaxLengthValidator(self.max_length))

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"widget": forms.TextInput} | kwargs)

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        value = super().get_db_prep_save(value, connection)
        return sealed(value) if isinstance(value, str) else value

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return unsealed(value) if value is not None else None
