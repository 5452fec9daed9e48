"""What libraries tell us, as entries of the audit: sign-ins of allauth and Django, changes of simple_history.

These are events of libraries, connected once by `connect()`; our own verbs record by themselves.
"""

from __future__ import annotations

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from django.contrib.auth import signals as auth
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac
from simple_history.models import HistoricalRecords
from simple_history.signals import post_create_historical_record

from portal.audit import record, record_of_person
from portal.models import Organisation, User

CHANGES = {"+": "added", "~": "changed", "-": "removed"}
RECOVERY = "recovery_codes"
# What an organisation's own managers look after by verbs, which record by themselves: staff do it on the desk.
OF_ORGANISATIONS = {
    "portal.organisation",
    "portal.membership",
    "portal.team",
    "portal.servicesubscription",
    "portal.organisationdomain",
    "portal.identityprovider",
    "portal.grouprole",
    "portal.endpoint",
}


def connect() -> None:
    """Connect every wire, once however often it is called."""
    for signal, receiver in WIRES:
        signal.connect(receiver, dispatch_uid=f"audit_{receiver.__name__}")


def _of_person(kind: str, user: User, request: Any, **facts: Any) -> None:
    said = request if isinstance(request, HttpRequest) else None
    about = {"by": user, "now": timezone.now(), "subject": f"person/{user.pk}", "request": said}
    record_of_person(kind, user, facts={name: value for name, value in facts.items() if value}, **about)


# --- sign-in ---


def on_signed_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    steps = request.session.get("account_authentication_methods", [])
    methods = [step["method"] for step in steps if "method" in step and not step.get("reauthenticated")]
    _of_person("signed_in", user, request, methods=list(dict.fromkeys(methods)))


def on_signed_out(request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if isinstance(user, User):
        _of_person("signed_out", user, request)


def on_sign_in_failed(credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    """A known person's failures are told by their id; of an unknown address only a keyed digest is kept."""
    address = str(credentials.get("email") or credentials.get("username") or "").strip().lower()
    if not address:
        return
    person = User.objects.filter(email=address).first()
    about: dict[str, Any] = {"by": None, "now": timezone.now(), "request": request}
    if person is not None:
        record_of_person("sign_in_failed", person, subject=f"person/{person.pk}", **about)
    else:
        record("sign_in_failed", facts={"address": digest_of_address(address)}, **about)


def digest_of_address(address: str) -> str:
    """The same address gives the same word; nobody finds the address by it without our key."""
    return salted_hmac("portal.audit.address", address, algorithm="sha256").hexdigest()[:32]


def on_wrong_factor(request: HttpRequest, user: User, authenticator: Any = None, **kwargs: Any) -> None:
    """The password was right, or the session is theirs; the code was not."""
    record_of_person(
        "sign_in_failed",
        user,
        by=None,
        now=timezone.now(),
        subject=f"person/{user.pk}",
        facts={"method": getattr(authenticator, "type", "code")},
        request=request,
    )


def on_authentication_step(request: HttpRequest, user: User, method: str, **kwargs: Any) -> None:
    if kwargs.get("reauthenticated"):
        _of_person("reauthenticated", user, request, method=method)


def on_password_changed(request: HttpRequest, user: User, **kwargs: Any) -> None:
    _of_person("password_changed", user, request)


def on_password_set(request: HttpRequest, user: User, **kwargs: Any) -> None:
    _of_person("password_changed", user, request)


def on_password_reset(request: HttpRequest, user: User, **kwargs: Any) -> None:
    _of_person("password_reset_done", user, request)


def on_email_changed(request: HttpRequest, user: User, **kwargs: Any) -> None:
    _of_person("address_changed", user, request)


def on_factor_added(request: HttpRequest, user: User, authenticator: Any, **kwargs: Any) -> None:
    kind = "recovery_codes_made" if authenticator.type == RECOVERY else "factor_added"
    _of_person(kind, user, request, type=authenticator.type)


def on_factor_removed(request: HttpRequest, user: User, authenticator: Any, **kwargs: Any) -> None:
    _of_person("factor_removed", user, request, type=authenticator.type)


def on_factor_reset(request: HttpRequest, user: User, authenticator: Any, **kwargs: Any) -> None:
    _of_person("recovery_codes_made", user, request, type=authenticator.type)


def on_factor_used(request: HttpRequest, user: User, authenticator: Any, **kwargs: Any) -> None:
    if authenticator.type == RECOVERY:
        _of_person("recovery_code_used", user, request)


# --- settings ---


def on_history(instance: models.Model, history_instance: Any, history_user: Any, **kwargs: Any) -> None:
    """A setting was added, changed or removed: which row, which columns, and where its earlier state stands."""
    label = instance._meta.label_lower
    by = history_user if isinstance(history_user, User) else None
    is_told = label in OF_ORGANISATIONS and by is not None and by.is_agent
    record(
        "organisation_settings_changed" if is_told else "settings_changed",
        by=by,
        now=timezone.now(),
        organisation=organisation_of(instance),
        subject=f"{label}/{instance.pk}",
        facts=facts_of(label, history_instance),
        request=getattr(HistoricalRecords.context, "request", None),
    )


def facts_of(label: str, written: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"model": label, "history": written.pk, "change": CHANGES[written.history_type]}
    before = written.prev_record if written.history_type == "~" else None
    if before is not None:
        facts["fields"] = written.diff_against(before, foreign_keys_are_objs=False).changed_fields
    facts |= {name: getattr(written, name) for name in ("role", "visibility") if hasattr(written, name)}
    return facts


def organisation_of(instance: models.Model) -> Organisation | None:
    """Whose setting it is: itself, its own organisation, or that of the identity provider it belongs to."""
    if isinstance(instance, Organisation):
        # What was just deleted cannot be named by a row any more.
        return instance if Organisation.objects.filter(pk=instance.pk).exists() else None
    owner = getattr(instance, "provider", instance)
    found = getattr(owner, "organisation_id", None)
    return Organisation.objects.filter(pk=found).first() if found else None


WIRES: list[tuple[Any, Any]] = [
    (account.user_logged_in, on_signed_in),
    (auth.user_logged_out, on_signed_out),
    (auth.user_login_failed, on_sign_in_failed),
    (account.authentication_step_completed, on_authentication_step),
    (account.password_changed, on_password_changed),
    (account.password_set, on_password_set),
    (account.password_reset, on_password_reset),
    (account.email_changed, on_email_changed),
    (mfa.authentication_failed, on_wrong_factor),
    (mfa.authenticator_added, on_factor_added),
    (mfa.authenticator_removed, on_factor_removed),
    (mfa.authenticator_reset, on_factor_reset),
    (mfa.authenticator_used, on_factor_used),
    (post_create_historical_record, on_history),
]
